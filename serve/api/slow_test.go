package api_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/serve/api"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// pipes is a listener of connections that buffer nothing.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	ended chan struct{}
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.ended:
		return nil, net.ErrClosed
	}
}
func (l *pipes) Close() error   { l.once.Do(func() { close(l.ended) }); return nil }
func (l *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// Invariant 5: a peer that does not take its answer holds the page, and the goroutine
// that writes it, for a bounded time; one that does has its connection for later.
func TestAnAnswerThatNobodyTakesIsGivenUp(t *testing.T) {
	defer api.SetAnswerTime(20 * time.Second)()
	hub := engine.NewHub(engine.WithStore(persist.NewMemory()), engine.WithEnableResendEvents(), engine.WithLogger(slog.New(slog.DiscardHandler)))
	defer hub.Close()
	require.NoError(t, hub.Push(nil, &wire.Event{Data: "hello"}))
	mux := http.NewServeMux()
	routes := &api.API{Hub: hub, Authorize: func(*http.Request) (stream.Grant, error) { return stream.FullGrant("u"), nil }}
	routes.Register(mux)
	l := &pipes{conns: make(chan net.Conn), ended: make(chan struct{})}
	handled := make(chan struct{}, 8)
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, r)
		handled <- struct{}{}
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	defer func() {
		server.Close()
		require.True(t, errors.Is(<-served, http.ErrServerClosed))
	}()
	dial := func() (net.Conn, *bufio.Reader) {
		client, peer := net.Pipe()
		t.Cleanup(func() { client.Close() })
		require.NoError(t, client.SetDeadline(time.Now().Add(20*time.Second)))
		l.conns <- peer
		return client, bufio.NewReader(client)
	}

	client, in := dial()
	for range 3 {
		_, err := fmt.Fprintf(client, "GET /history HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		res, err := http.ReadResponse(in, nil)
		require.NoError(t, err)
		text, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.Contains(t, string(text), "hello")
		<-handled
	}

	api.SetAnswerTime(50 * time.Millisecond)
	client, in = dial()
	_, err := fmt.Fprintf(client, "GET /history HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	select {
	case <-handled:
	case <-time.After(20 * time.Second):
		require.Fail(t, "the answer waits for its peer")
	}
	_, err = in.ReadByte() // nothing came before the end
	require.Error(t, err)
}
