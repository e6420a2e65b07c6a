package client_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/client"
	"github.com/spatehub/spate/wire"
)

// The same life of a client over real connections: HTTP/1.1, and HTTP/2 with TLS.
func TestRealNetwork(t *testing.T) {
	for name, secure := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			gone := make(chan struct{})
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Proto != name {
					w.WriteHeader(http.StatusBadRequest)
					return
				}
				switch r.Header.Get("Last-Event-ID") {
				case "":
					write(w, "retry: 1\nid: 1\ndata: a\n\n")
				case "1":
					write(w, ": resumed\n\n")
					write(w, "id: 2\r\ndata: b\r\ndata: c\r\n\r\n")
					<-r.Context().Done()
					close(gone)
				}
			}))
			srv.EnableHTTP2 = secure
			if secure {
				srv.StartTLS()
			} else {
				srv.Start()
			}
			defer srv.Close()

			c := client.NewClient(srv.URL, client.WithHTTPClient(srv.Client()))
			got := make(chan *wire.Event, 10)
			c.OnEvent("message", func(e *wire.Event) { got <- e })
			require.NoError(t, c.Connect())
			for _, want := range []wire.Event{
				{ID: "1", Event: "message", Data: "a", Retry: time.Millisecond},
				{ID: "2", Event: "message", Data: "b\nc"},
			} {
				select {
				case e := <-got:
					require.Equal(t, want, *e)
				case <-ctx.Done():
					require.Fail(t, "no event")
				}
			}
			c.Disconnect()
			for what, ch := range map[string]<-chan struct{}{"client": c.Wait(), "handler": gone} {
				select {
				case <-ch:
				case <-ctx.Done():
					require.Fail(t, what+" did not end")
				}
			}
			require.NoError(t, c.Err())
		})
	}
}

// Nobody listens: the first connection says so at once.
func TestConnectRefused(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	c := client.NewClient(srv.URL)
	defer c.Disconnect()
	require.ErrorContains(t, c.Connect(), "connection refused")
}
