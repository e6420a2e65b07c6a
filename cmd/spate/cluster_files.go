package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nkeys"
)

// settingFault is what is wrong with the value of a setting.
type settingFault struct {
	name string // of the flag
	err  error
}

// fileFaults is what is wrong with the files of a cluster, now: the client reads them when it connects, which may be
// never where no server is reached, and then says "authorization violation" of what is no credential at all.
func (c *clusterConfig) fileFaults() (faults []settingFault) {
	note := func(name, path string, err error) {
		if err != nil {
			faults = append(faults, settingFault{name, fmt.Errorf("--%s %s: %w", name, path, err)})
		}
	}
	if c.creds != "" {
		note("cluster-creds", c.creds, checkCreds(c.creds))
	}
	if c.ca != "" {
		_, err := issuers(c.ca)
		note("cluster-tls-ca", c.ca, err)
	}
	if c.cert != "" && c.key != "" {
		text, err := bareRead(c.cert)
		note("cluster-tls-cert", c.cert, err)
		key, errKey := bareRead(c.key)
		note("cluster-tls-key", c.key, errKey)
		if err == nil && errKey == nil {
			_, err = tls.X509KeyPair(text, key)
			note("cluster-tls-cert", c.cert+" with --cluster-tls-key "+c.key, err)
		}
	}
	return faults
}

// checkCreds says what is wrong with a file of NATS credentials.
func checkCreds(path string) error {
	text, err := bareRead(path)
	if err != nil {
		return err
	}
	if token, err := nkeys.ParseDecoratedJWT(text); err != nil || strings.Count(token, ".") != 2 {
		return errors.New("has no user's JWT; give a file as `nsc generate creds` writes it")
	}
	seed, err := nkeys.ParseDecoratedUserNKey(text)
	if err != nil {
		return errors.New("has no user's seed; give a file as `nsc generate creds` writes it")
	}
	seed.Wipe()
	return nil
}
