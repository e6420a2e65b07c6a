package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
)

// TLS returns what the flags say about TLS, for the caller to change.
func (c *Config) TLS() (*tls.Config, error) {
	conf := &tls.Config{InsecureSkipVerify: c.Insecure}
	if c.CACert == "" {
		return conf, nil
	}
	conf.RootCAs = x509.NewCertPool()
	if !conf.RootCAs.AppendCertsFromPEM([]byte(c.CACert)) {
		return nil, errors.New("-cacert: the file has no certificate in PEM form")
	}
	return conf, nil
}
