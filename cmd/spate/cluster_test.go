package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Invariant 12: settings of a cluster that can't be are refused by name.
func TestClusterFlags(t *testing.T) {
	s := streams{env: func(string) (string, bool) { return "", false }}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--cluster", "http://10.0.0.1"}, "--cluster"},
		{[]string{"--cluster", "nats://10.0.0.1/path"}, "--cluster"},
		{[]string{"--cluster", "nats://10.0.0.1,,"}, "--cluster"},
		{[]string{"--cluster-stream", "x"}, "--cluster-stream"},
		{[]string{"--cluster", "nats://a", "--cluster-replicas", "6"}, "--cluster-replicas"},
		{[]string{"--cluster", "nats://a", "--cluster-max-age", "1s"}, "--cluster-max-age"},
		{[]string{"--cluster", "nats://a", "--cluster-silence", "1ms"}, "--cluster-silence"},
		{[]string{"--cluster", "nats://a", "--cluster-silent", "what"}, "--cluster-silent"},
		{[]string{"--cluster", "nats://a", "--cluster-tls-cert", "x"}, "--cluster-tls-cert"},
		{[]string{"--cluster", "nats://a", "--immediate"}, "--immediate"},
		{[]string{"--cluster-name", "a"}, "--cluster-name"},
		{[]string{"--cluster", "nats://a", "--cluster-name", strings.Repeat("x", 257)}, "--cluster-name"},
		{[]string{"--cluster", "nats://a", "--idempotency-window", "2m"}, "--idempotency-window"},
	} {
		_, err := parseServe(s, c.args)
		require.ErrorContains(t, err, c.want, "%q", c.args)
	}
	_, err := parseServe(s, []string{"--cluster", "nats://user:secret@a/x"})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret")
	c, err := parseServe(s, []string{"--cluster", "nats://10.0.0.1,10.0.0.2:4223", "--cluster", "tls://c"})
	require.NoError(t, err)
	require.Equal(t, []string{"nats://10.0.0.1", "nats://10.0.0.2:4223", "tls://c"}, c.cluster.servers())
}
