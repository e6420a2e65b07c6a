package main

import (
	"github.com/spatehub/spate/serve/tlsfile"
)

// tlsConfig is how connections are encrypted.
type tlsConfig struct {
	cert, key      string
	min            string
	clientCA       string
	requireClient  bool
	unencryptedTwo bool
}

func (t *tlsConfig) addFlags(fs *flagSet) {
	fs.StringVar(&t.cert, "tls-cert", "", "serve with TLS, with the certificate of this PEM `file`, followed by those of its issuers; read again when it changes")
	fs.StringVar(&t.key, "tls-key", "", "PEM `file` with the certificate's private key; read again when it changes")
	fs.StringVar(&t.min, "tls-min", "1.2", "least `version` of TLS: 1.2 or 1.3")
	fs.StringVar(&t.clientCA, "tls-client-ca", "", "PEM `file` with the certificates that issue those of clients, which are then asked for")
	fs.BoolVar(&t.requireClient, "tls-client-required", false, "take no connection without a client certificate")
	fs.BoolVar(&t.unencryptedTwo, "h2c", false, "take HTTP/2 without TLS from clients that begin with it")
}

// on reports whether connections are encrypted.
func (t *tlsConfig) on() bool { return t.cert != "" }

func (t *tlsConfig) validate(fs *flagSet, clientName string) {
	fs.must(t.cert == "" || t.key != "", "tls-cert", "--tls-cert takes the certificate's key: give --tls-key")
	fs.must(t.key == "" || t.cert != "", "tls-key", "--tls-key takes the key's certificate: give --tls-cert")
	_, err := tlsfile.ParseMinVersion(t.min)
	fs.must(err == nil, "tls-min", "--tls-min: %v", err)
	for _, name := range []string{"tls-min", "tls-client-ca", "tls-client-required"} {
		fs.must(t.on() || !fs.given(name), name, "--%s says something of TLS: give --tls-cert and --tls-key", name)
	}
	fs.must(!t.requireClient || t.clientCA != "", "tls-client-required", "--tls-client-required takes the certificates that issue those of clients: give --tls-client-ca")
	fs.must(clientName == "" || t.clientCA != "", "tls-client-name", "--tls-client-name takes the certificates that issue those of clients: give --tls-client-ca")
	fs.must(!t.unencryptedTwo || !t.on(), "h2c", "--h2c is for hubs without TLS: over TLS clients choose HTTP/2 by themselves")
}

// files are what tlsfile loads. Its report is told why changed files are not used.
func (t *tlsConfig) files(report func(error)) tlsfile.Files {
	least, _ := tlsfile.ParseMinVersion(t.min) // which validate has found to be good
	return tlsfile.Files{Cert: t.cert, Key: t.key, ClientCA: t.clientCA, RequireClient: t.requireClient, MinVersion: least, Report: report}
}
