package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A probe looks at the exit code, a person at the line.
func TestHealth(t *testing.T) {
	hub := startServe(t, "--memory")
	require.Equal(t, result{exitOK, "ok\n", ""}, runToEnd(t, "", "health", "--url", hub.base))

	require.Equal(t, result{exitOK, "ok\n", ""}, runToEnd(t, "", "health", "--ready", "--url", hub.base))

	sick := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/healthz":
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"status":503,"detail":"disk on fire"}`))
		case "/readyz":
			<-r.Context().Done()
		}
	}))
	t.Cleanup(sick.Close)
	got := runToEnd(t, "", "health", "--url", sick.URL)
	require.Equal(t, exitFailed, got.code)
	require.Equal(t, "spate health: 503 Service Unavailable: disk on fire\n", got.err)

	got = runToEnd(t, "", "health", "--url", sick.URL, "--ready", "--timeout", "50ms")
	require.Equal(t, exitFailed, got.code)
	require.Equal(t, "spate health: the hub did not answer within 50ms\n", got.err)

	for _, args := range [][]string{
		{"extra"}, {"--timeout", "0"}, {"--url", "nonsense"}, {"--url", hub.base, "--unix", "x"},
	} {
		require.Equal(t, exitUsage, runToEnd(t, "", append([]string{"health"}, args...)...).code, args)
	}
}

// A hub behind a Unix socket is asked there.
func TestHealthOverAUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "localhost" || r.URL.Path != "/readyz" {
			w.WriteHeader(http.StatusTeapot)
		}
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	require.Equal(t, result{exitOK, "ok\n", ""}, runToEnd(t, "", "health", "--unix", path, "--ready"))
	got := runToEnd(t, "", "health", "--unix", path)
	require.Equal(t, exitFailed, got.code)
	require.Equal(t, exitFailed, runToEnd(t, "", "health", "--unix", path+"-gone").code)
}
