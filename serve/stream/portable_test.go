package stream_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// gate is a ResponseWriter whose peer takes bytes only when told to.
type gate struct {
	header  http.Header
	expired chan struct{} // closed by a deadline in the past
	expire  sync.Once
	writes  chan []byte // each write, before it blocks
	allow   chan error  // what the write returns

	mu     sync.Mutex
	closed bool // the handler has returned
	late   bool // used after that
}

func newGate() *gate {
	return &gate{header: http.Header{}, expired: make(chan struct{}), writes: make(chan []byte, 1000), allow: make(chan error)}
}

func (g *gate) Header() http.Header { return g.header }
func (g *gate) WriteHeader(int)     {}
func (g *gate) FlushError() error   { return nil }

func (g *gate) Write(p []byte) (int, error) {
	g.writes <- bytes.Clone(p)
	select {
	case err := <-g.allow:
		return len(p), err
	case <-g.expired:
		return 0, os.ErrDeadlineExceeded
	}
}

func (g *gate) SetWriteDeadline(d time.Time) error {
	g.mu.Lock()
	g.late = g.late || g.closed
	g.mu.Unlock()
	if !d.IsZero() && d.Before(time.Now()) {
		g.expire.Do(func() { close(g.expired) })
	}
	return nil
}

// behind starts a portable stream to g and returns a channel that closes when
// the handler has returned, and the request's cancel.
func (g *gate) behind(hub *engine.Hub, opts ...stream.Option) (done chan struct{}, cancel context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	done = make(chan struct{})
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/?uid=u1", nil)
	go func() {
		defer close(done)
		stream.Handler(hub, identify, opts...).ServeHTTP(g, r)
		g.mu.Lock()
		g.closed = true
		g.mu.Unlock()
	}()
	return done, cancel
}

// take lets one write through and returns it.
func (g *gate) take(t *testing.T) string {
	t.Helper()
	select {
	case p := <-g.writes:
		select {
		case g.allow <- nil:
			return string(p)
		case <-time.After(patience):
		}
	case <-time.After(patience):
	}
	require.Fail(t, "no write")
	return ""
}

func wait(t *testing.T, done <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		require.Fail(t, what)
	}
}

// offline waits until the hub has counted its last connection out.
func offline(t *testing.T, hub *engine.Hub) {
	t.Helper()
	require.Eventually(t, func() bool { return hub.OnlineClientsNum() == 0 }, patience, time.Millisecond)
}

// A peer that takes nothing holds no more than the sink's bound in bytes; what
// is beyond stays with the hub. When it takes bytes again it gets all, in order,
// in few writes.
func TestPortableSinkIsBounded(t *testing.T) {
	hub := newHub(t, engine.WithChanBufferSize(4096), engine.WithQueueBytes(16<<20))
	g := newGate()
	done, cancel := g.behind(hub)
	defer cancel()
	require.Equal(t, greeting, g.take(t))
	require.Eventually(t, func() bool { return hub.OnlineClientsNum() == 1 }, patience, time.Millisecond)

	const events, size = 1000, 4 << 10
	data := strings.Repeat("x", size)
	for range events {
		require.NoError(t, hub.Push(nil, &wire.Event{Data: data}))
	}
	require.Eventually(t, func() bool { return hub.Stats().Stalled == 1 }, patience, time.Millisecond)
	const bound = 256 << 10
	require.LessOrEqual(t, hub.Stats().Delivered, uint64(bound/size))

	var got strings.Builder
	writes := 0
	for strings.Count(got.String(), "\n\n") < events {
		got.WriteString(g.take(t))
		writes++
	}
	require.Equal(t, events, strings.Count(got.String(), "data: "+data+"\n\n"))
	require.Less(t, writes, events/4, "what waits is joined")
	hub.Close()
	require.Contains(t, g.take(t), "event: disconnect\n")
	wait(t, done, "handler still runs after Close")
}

// A write that blocks for longer than the stall time-out fails, and the handler
// ends.
func TestPortableWriteIsBoundedInTime(t *testing.T) {
	hub := newHub(t)
	g := newGate()
	done, cancel := g.behind(hub, stream.WithStallTimeout(50*time.Millisecond))
	defer cancel()
	wait(t, done, "the greeting's write was not cut")
	require.Zero(t, hub.OnlineClientsNum())

	// Where no option says otherwise, the hub's time-out holds.
	g = newGate()
	done, cancel = g.behind(newHub(t, engine.WithStallTimeout(50*time.Millisecond)))
	defer cancel()
	wait(t, done, "the greeting's write was not cut by the hub's time-out")

	require.False(t, g.late, "the ResponseWriter was used after the handler returned")
}

// The end of the request and an error of a write both end the stream, and with
// it the connection.
func TestPortableStreamEndsWithItsRequest(t *testing.T) {
	hub := newHub(t)
	g := newGate()
	done, cancel := g.behind(hub)
	g.take(t)
	cancel()
	wait(t, done, "handler runs on after its request")
	offline(t, hub)

	g = newGate()
	done, cancel = g.behind(hub)
	defer cancel()
	g.take(t)
	require.Eventually(t, func() bool { return hub.OnlineClientsNum() == 1 }, patience, time.Millisecond)
	require.NoError(t, hub.Push(nil, &wire.Event{Data: "x"}))
	<-g.writes
	g.allow <- errors.New("broken pipe")
	wait(t, done, "handler runs on after a failed write")
	offline(t, hub)
}

// plain is a ResponseWriter without Flush, as http.TimeoutHandler's is.
type plain struct{ rec *httptest.ResponseRecorder }

func (p plain) Header() http.Header         { return p.rec.Header() }
func (p plain) WriteHeader(status int)      { p.rec.WriteHeader(status) }
func (p plain) Write(b []byte) (int, error) { return p.rec.Write(b) }

func TestWriterWithoutFlushIsRefused(t *testing.T) {
	rec := httptest.NewRecorder()
	stream.Handler(newHub(t), nil).ServeHTTP(plain{rec}, httptest.NewRequest("GET", "/", nil))
	refused(t, rec, http.StatusInternalServerError, "")
}
