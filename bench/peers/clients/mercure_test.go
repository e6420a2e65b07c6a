//go:build linux

package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/dunglas/mercure"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/client"
)

// A real Mercure hub: the client reads what it publishes, and comes back to it with
// the ID, a URN, that it got last.
func TestMercureHub(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	hub, err := mercure.NewHub(ctx, mercure.WithAnonymous(), mercure.WithLogger(slog.New(slog.DiscardHandler)))
	require.NoError(t, err)
	asked := make(chan string, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Get("Last-Event-ID")
		hub.ServeHTTP(w, r)
	}))
	defer srv.Close()

	const topic, id = "https://example.com/books/1", "urn:uuid:5e94c686-2c0b-4f9b-958c-92ccc3bbb4eb"
	c := client.NewClient(srv.URL+"/.well-known/mercure?topic="+topic, client.WithReconnectInterval(0))
	opens := 0
	c.OnOpen(func(http.Header) {
		opens++
		event := mercure.Event{ID: id, Type: "sold", Data: "one\ncopy"}
		if opens > 1 {
			event = mercure.Event{ID: "urn:uuid:2", Data: "another"}
		}
		require.NoError(t, hub.Publish(ctx, &mercure.Update{Topics: []string{topic}, Event: event}))
	})
	var got []string
	for e, err := range c.Events(ctx) {
		require.NoError(t, err)
		if got = append(got, e.Event+" "+e.ID+" "+e.Data.(string)); len(got) == 1 {
			c.Restart()
			continue
		}
		break
	}
	require.Equal(t, []string{"sold " + id + " one\ncopy", "message urn:uuid:2 another"}, got)
	require.Empty(t, <-asked)
	require.Equal(t, id, <-asked)
}
