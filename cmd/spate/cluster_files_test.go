package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/internal/testcert"
)

// Invariant 12: a file of a cluster that can't be used is refused before a server is asked, by the name of its setting,
// and `config check` finds all of them.
func TestClusterFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
		return name
	}
	user, err := nkeys.CreateUser()
	require.NoError(t, err)
	seed, err := user.Seed()
	require.NoError(t, err)
	const token = "-----BEGIN NATS USER JWT-----\neyJh.eyJq.c2ln\n------END NATS USER JWT------\n\n"
	good := write("good.creds", token+"-----BEGIN USER NKEY SEED-----\n"+string(seed)+"\n------END USER NKEY SEED------\n")
	ca := testcert.NewCA(t, "servers")
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	testcert.WritePair(t, ca.Issue(testcert.Leaf{}), cert, key)
	otherKey := filepath.Join(dir, "other.pem")
	testcert.WritePair(t, ca.Issue(testcert.Leaf{}), filepath.Join(dir, "unused.pem"), otherKey)
	junk, missing := write("junk", "junk\n"), filepath.Join(dir, "missing")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--cluster-creds", missing}, "--cluster-creds " + missing + ": no such file"},
		{[]string{"--cluster-creds", junk}, "--cluster-creds " + junk + ": has no user's JWT"},
		{[]string{"--cluster-creds", write("half", token)}, ": has no user's seed"},
		{[]string{"--cluster-tls-ca", missing}, "--cluster-tls-ca " + missing + ": no such file"},
		{[]string{"--cluster-tls-ca", junk}, "has no certificate in PEM form"},
		{[]string{"--cluster-tls-cert", cert, "--cluster-tls-key", missing}, "--cluster-tls-key " + missing},
		{[]string{"--cluster-tls-cert", junk, "--cluster-tls-key", key}, "--cluster-tls-cert " + junk},
		{[]string{"--cluster-tls-cert", cert, "--cluster-tls-key", otherKey}, "--cluster-tls-cert " + cert + " with --cluster-tls-key"},
	} {
		conf, err := parseServe(streams{env: func(string) (string, bool) { return "", false }}, append([]string{"--cluster", "nats://127.0.0.1:4"}, c.args...))
		require.NoError(t, err, c.want)
		_, err = conf.cluster.join(t.Context(), slog.New(slog.DiscardHandler))
		require.ErrorContains(t, err, c.want)
	}
	conf := clusterConfig{creds: good, ca: cert, cert: cert, key: key}
	require.Empty(t, conf.fileFaults())

	file := write("spate.yaml", fmt.Sprintf("cluster: nats://127.0.0.1:4\ncluster-creds: %s\ncluster-tls-ca: %s\n", junk, missing))
	err = checkConfig(streams{out: io.Discard}, file)
	require.ErrorContains(t, err, file+":2: --cluster-creds")
	require.ErrorContains(t, err, file+":3: --cluster-tls-ca")
}
