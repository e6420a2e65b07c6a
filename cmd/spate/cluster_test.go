package main

import (
	"context"
	"log/slog"
	"net"
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
		{[]string{"--cluster", "nats://10.0.0.1:99999"}, "--cluster"},
		{[]string{"--cluster", "nats://10.0.0.1:0"}, "--cluster"},
		{[]string{"--cluster", "nats://10.0.0.1:"}, "--cluster"},
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

// lines is a log whose lines are looked at as they come.
type lines struct{ each func(line string) }

func (l lines) Write(p []byte) (int, error) {
	l.each(string(p))
	return len(p), nil
}

// A hub that waits for its cluster says so at once, for which servers, and why none is
// reached; it does not hang in silence until it starts without.
func TestAHubSaysWhyItWaitsForItsCluster(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := closed.Addr().String()
	require.NoError(t, closed.Close())
	conf, err := parseServe(streams{env: func(string) (string, bool) { return "", false }}, []string{"--cluster", "nats://user:secret@" + address})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var said []string
	log := slog.New(slog.NewTextHandler(lines{func(line string) {
		said = append(said, line)
		cancel() // it has said it, and need not wait
	}}, nil))
	j, err := conf.cluster.join(ctx, log)
	require.NoError(t, err)
	j.close()
	require.NotEmpty(t, said)
	require.Contains(t, said[0], "waits for it")
	require.Contains(t, said[0], address)
	require.Contains(t, said[0], "no server is reached: dial tcp")
	require.NotContains(t, strings.Join(said, ""), "secret")
}
