package limit_test

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/limit"
	"github.com/spatehub/spate/serve/stream"
)

// watched is a ResponseWriter that could be taken over.
type watched struct {
	*httptest.ResponseRecorder
	taken *atomic.Int32
}

func (w watched) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.taken.Add(1)
	return nil, nil, errors.New("none")
}

// A storm of 10,000 connects beyond the bound of all is answered by 503 with Retry-After; nobody's credentials are looked
// at, no connection is taken over, and nothing is counted that would have to be given back.
func TestAStormCostsNoHijack(t *testing.T) {
	hub := engine.NewHub(engine.WithLogger(slog.New(slog.DiscardHandler)))
	defer hub.Close()
	gate := limit.NewGate(limit.Config{All: limit.Bounds{Connections: 1}})
	r := httptest.NewRequest(http.MethodGet, "/events", nil)
	leave, err := gate.Enter(r, &stream.Grant{User: "first"})
	require.NoError(t, err)
	var asked, taken atomic.Int32
	h := stream.Authorized(hub, func(*http.Request) (stream.Grant, error) {
		asked.Add(1)
		return stream.FullGrant("u"), nil
	}, stream.WithGate(gate), stream.WithSessions(new(stream.Sessions)))
	for range 10_000 {
		w := watched{httptest.NewRecorder(), &taken}
		h.ServeHTTP(w, r)
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.NotEmpty(t, w.Header().Get("Retry-After"))
	}
	require.Zero(t, asked.Load())
	require.Zero(t, taken.Load())
	require.Zero(t, hub.OnlineClientsNum())
	require.Equal(t, 1, gate.Streams())
	leave()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.ServeHTTP(watched{httptest.NewRecorder(), &taken}, r.WithContext(ctx))
	require.EqualValues(t, 1, asked.Load(), "the next one is let in")
}
