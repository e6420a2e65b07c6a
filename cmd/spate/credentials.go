package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"os"

	"golang.org/x/net/http/httpguts"
)

// credentials are how a command makes itself known to a hub, and knows the hub.
type credentials struct {
	token secretValue
	ca    string
}

func (c *credentials) addFlags(fs *flagSet) {
	fs.Var(&c.token, "token", "`token` or JWT that the hub asks for; in the environment alone")
	c.addCA(fs)
}

func (c *credentials) addCA(fs *flagSet) {
	fs.StringVar(&c.ca, "ca", "", "PEM `file` with the certificates that issue the hub's, in the place of the system's")
}

func (c *credentials) validate() error {
	if !httpguts.ValidHeaderFieldValue(string(c.token)) {
		return usagef("SPATE_TOKEN is no token: it has a character that no header may have")
	}
	return nil
}

// header is what requests have beside their own.
func (c *credentials) header() map[string]string {
	if c.token == "" {
		return nil
	}
	return map[string]string{"Authorization": "Bearer " + string(c.token)}
}

// set puts the credentials on a request.
func (c *credentials) set(r *http.Request) {
	for name, value := range c.header() {
		r.Header.Set(name, value)
	}
}

// client is what requests are made with.
func (c *credentials) client() (*http.Client, error) {
	config, err := c.tls()
	if config == nil {
		return http.DefaultClient, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = config
	return &http.Client{Transport: transport}, nil
}

// tls is how the hub is known; nil: by the system's certificates.
func (c *credentials) tls() (*tls.Config, error) {
	if c.ca == "" {
		return nil, nil
	}
	pool, err := issuers(c.ca)
	if err != nil {
		return nil, usagef("--ca %s: %v", c.ca, err)
	}
	return &tls.Config{RootCAs: pool}, nil
}

// issuers reads the certificates of a PEM file. Its errors leave out the path.
func issuers(path string) (*x509.CertPool, error) {
	text, err := bareRead(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("has no certificate in PEM form")
	}
	return pool, nil
}

// bareRead is os.ReadFile, whose error leaves out the path.
func bareRead(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	var of *os.PathError
	if errors.As(err, &of) {
		err = of.Err
	}
	return text, err
}
