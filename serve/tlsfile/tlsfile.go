// Package tlsfile makes a server's TLS configuration of files, which may be
// replaced while it runs.
package tlsfile

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spatehub/spate/serve/internal/fresh"
)

// Files says what to serve with.
type Files struct {
	// Cert and Key are PEM files: the server's certificate, followed by those of
	// its issuers, and its private key.
	Cert, Key string

	// ClientCA is a PEM file with the certificates that issue those of clients; ""
	// asks clients for none. Whether one without gets anything is the authorizer's
	// to say, unless RequireClient is set: then it gets no connection.
	ClientCA      string
	RequireClient bool

	// MinVersion is [tls.VersionTLS12], which 0 is too, or [tls.VersionTLS13].
	MinVersion uint16

	// Report is told, by any goroutine, why changed files are not used: the
	// configuration of before goes on. nil tells nobody.
	Report func(error)
}

// ParseMinVersion reads "1.2" or "1.3".
func ParseMinVersion(s string) (uint16, error) {
	switch s {
	case "1.2":
		return tls.VersionTLS12, nil
	case "1.3":
		return tls.VersionTLS13, nil
	}
	return 0, fmt.Errorf("TLS version %q: it may be 1.2 or 1.3", s)
}

// Config is a TLS configuration that follows its files.
type Config struct {
	files Files
	value *fresh.Value[*tls.Config]
}

// Load reads the files. Its errors name the file.
func Load(f Files) (*Config, error) {
	switch f.MinVersion {
	case 0:
		f.MinVersion = tls.VersionTLS12
	case tls.VersionTLS12, tls.VersionTLS13:
	default:
		return nil, fmt.Errorf("minimal TLS version %s: it may be TLS 1.2 or 1.3", tls.VersionName(f.MinVersion))
	}
	if f.RequireClient && f.ClientCA == "" {
		return nil, errors.New("client certificates can't be required without the certificates that issue them")
	}
	names := []string{f.Cert, f.Key}
	if f.ClientCA != "" {
		names = append(names, f.ClientCA)
	}
	c := &Config{files: f}
	var err error
	c.value, err = fresh.New(c.load, f.Report, names)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Server is the configuration to serve with: HTTP/2 and HTTP/1.1, by ALPN. Within
// a second or so of a change, new connections get what the files then say; old
// ones stay.
func (c *Config) Server() *tls.Config {
	first := c.value.Get().Clone()
	first.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.value.Get(), nil }
	return first
}

// Reload reads the files now; on an error all stays as it was.
func (c *Config) Reload() error { return c.value.Reload() }

// load makes a configuration of what the files say now. It is a new one each time
// so that no session of a client goes on whose issuer is no longer trusted.
func (c *Config) load() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.files.Cert, c.files.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", c.files.Cert, c.files.Key, err)
	}
	if pair.Leaf != nil && time.Now().After(pair.Leaf.NotAfter) {
		return nil, fmt.Errorf("certificate %s has expired on %s", c.files.Cert, pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	made := &tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   c.files.MinVersion,
		NextProtos:   []string{"h2", "http/1.1"},
	}
	if c.files.ClientCA == "" {
		return made, nil
	}
	text, err := os.ReadFile(c.files.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("certificates that issue those of clients: %w", err)
	}
	made.ClientCAs = x509.NewCertPool()
	if !made.ClientCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("certificates that issue those of clients: %s has none in PEM form", c.files.ClientCA)
	}
	made.ClientAuth = tls.VerifyClientCertIfGiven
	if c.files.RequireClient {
		made.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return made, nil
}
