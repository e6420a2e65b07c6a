package client_test

import (
	"context"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/client"
)

// What an option cannot mean is told with its name, all of it at once, and before
// anything is sent.
func TestOptionsThatCannotBeMeant(t *testing.T) {
	for want, opt := range map[string]client.Option{
		"WithReconnectInterval":           client.WithReconnectInterval(-1),
		"WithMaxBackoff (0s)":             client.WithMaxBackoff(0),
		"WithStableTime":                  client.WithStableTime(-time.Second),
		"WithMaxTries (0)":                client.WithMaxTries(0),
		"WithMaxDowntime":                 client.WithMaxDowntime(math.MinInt64),
		"WithInitialDelay":                client.WithInitialDelay(-1),
		"WithMaxEventSize (-1)":           client.WithMaxEventSize(-1),
		`WithMethod ("GET ME")`:           client.WithMethod("GET ME"),
		`WithHeaders "a b"`:               client.WithHeaders(map[string]string{"a b": "x"}),
		`WithHeaders "Authorization"`:     client.WithHeaders(map[string]string{"Authorization": "secret\n"}),
		`WithBody "Content-Type"`:         client.WithBody("a\nb", nil),
		"WithUnixSocket names no socket":  client.WithUnixSocket(""),
		"WithCheckpoint has no store":     client.WithCheckpoint(nil, client.AtLeastOnce),
		"WithCheckpoint has an unknown":   client.WithCheckpoint(client.NewFileCheckpoint("x"), 7),
		"WithCheckpointInterval must not": client.WithCheckpointInterval(-1),
	} {
		c := client.NewClient("http://127.0.0.1:1/", opt, client.WithMaxTries(-7))
		err := c.Connect()
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "WithMaxTries (-7)")
		require.NotContains(t, err.Error(), "secret")
		c.Disconnect()
		<-c.Wait()
	}
}

func TestOptionsThatContradictEachOther(t *testing.T) {
	c := client.NewClient("http://127.0.0.1:1/", client.WithCheckpointInterval(1),
		client.WithCheckpoint(client.NewFileCheckpoint("x"), client.AtMostOnce))
	require.ErrorContains(t, c.Connect(), "WithCheckpointInterval has no meaning")
	c = client.NewClient("http://127.0.0.1:1/", client.WithUnixSocket("x"),
		client.WithHTTPClient(&http.Client{Transport: roundTripper(nil)}))
	require.ErrorContains(t, c.Connect(), "client_test.roundTripper")
	c.Disconnect()
}

// An option of a client that lives longer than one response means nothing to Do.
func TestDoRefusesOptionsOfAClient(t *testing.T) {
	for want, opt := range map[string]client.Option{
		"WithMethod": client.WithMethod("PUT"), "WithBody": client.WithBody("", nil), "WithLastEventID": client.WithLastEventID("1"),
		"WithReconnectInterval": client.WithReconnectInterval(1), "WithMaxBackoff": client.WithMaxBackoff(1), "WithStableTime": client.WithStableTime(1),
		"WithMaxTries": client.WithMaxTries(1), "WithMaxDowntime": client.WithMaxDowntime(1), "WithRetryFirst": client.WithRetryFirst(),
		"WithInitialDelay": client.WithInitialDelay(1), "WithoutReconnect": client.WithoutReconnect(),
		"WithCheckpoint":         client.WithCheckpoint(client.NewFileCheckpoint("x"), client.AtLeastOnce),
		"WithCheckpointInterval": client.WithCheckpointInterval(1),
	} {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://127.0.0.1:1/", nil)
		require.NoError(t, err)
		for _, err := range client.Do(t.Context(), req, opt) {
			require.ErrorContains(t, err, "client: "+want+" has no meaning for Do")
		}
	}
}

// Zero and nil mean the default where the option says so.
func TestOptionsOfDefaults(t *testing.T) {
	c := client.NewClient("http://127.0.0.1:1/", client.WithIdleTimeout(0), client.WithLogger(nil),
		client.WithHTTPClient(nil), client.WithHeaders(nil), client.WithLastEventID(""))
	require.ErrorContains(t, c.Connect(), "connection refused")
	c.Disconnect()
}
