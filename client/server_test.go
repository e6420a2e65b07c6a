package client_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/client"
)

// server is an http.Server behind an in-memory network, so that it lives in a
// synctest bubble: time stands still until everybody waits.
type server struct {
	url    string
	client *http.Client

	mu       sync.Mutex
	turns    []http.HandlerFunc // one for each request; the last stays
	requests []request
	open     int // handlers running
}

// request is what a test wants to know of a request.
type request struct {
	at     time.Time
	host   string
	header http.Header
}

// newServer starts a server that answers its requests by turns.
func newServer(t *testing.T, turns ...http.HandlerFunc) *server {
	t.Helper()
	s := &server{url: "http://hub.test/events?token=secret", turns: turns}
	ln := &memListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	srv := &http.Server{Handler: s}
	go func() { _ = srv.Serve(ln) }()
	transport := &http.Transport{DialContext: ln.dial}
	s.client = &http.Client{Transport: transport}
	t.Cleanup(func() {
		_ = srv.Close()
		transport.CloseIdleConnections()
	})
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	turn := s.turns[0]
	if len(s.turns) > 1 {
		s.turns = s.turns[1:]
	}
	s.requests = append(s.requests, request{at: time.Now(), host: r.Host, header: r.Header})
	s.open++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.open--
		s.mu.Unlock()
	}()
	turn(w, r)
}

// got is the requests so far.
func (s *server) got() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]request(nil), s.requests...)
}

func (s *server) streams() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// overTLS makes the client's transport take https for the same server, without
// TLS.
func (s *server) overTLS() {
	t := s.client.Transport.(*http.Transport)
	t.DialTLSContext = t.DialContext
}

func newJar(t *testing.T) http.CookieJar {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return jar
}

// newClient returns a client of the server that is disconnected with the test.
// Many servers of the tests are silent for hours: it has no idle time-out unless
// opts say so.
func (s *server) newClient(t *testing.T, opts ...client.Option) *client.SSEClient {
	t.Helper()
	c := client.NewClient(s.url, append([]client.Option{client.WithHTTPClient(s.client), client.WithIdleTimeout(-1)}, opts...)...)
	t.Cleanup(func() {
		c.Disconnect()
		<-c.Wait()
	})
	return c
}

// watchBody makes the client's responses tell when their bodies are closed, and
// calls then with each response before the client gets it.
func (s *server) watchBody(then func()) *atomic.Int32 {
	closed := new(atomic.Int32)
	inner := s.client.Transport
	s.client.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := inner.RoundTrip(r)
		if err == nil {
			resp.Body = &watchedBody{ReadCloser: resp.Body, closed: closed}
			then()
		}
		return resp, err
	})
	return closed
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type watchedBody struct {
	io.ReadCloser
	closed *atomic.Int32 // bodies closed, each counted once
	once   sync.Once
}

func (b *watchedBody) Close() error {
	b.once.Do(func() { b.closed.Add(1) })
	return b.ReadCloser.Close()
}

// memListener is a listener whose connections are pipes.
type memListener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *memListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *memListener) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

// elapse lets the bubble's clock pass by d, and everybody do what that leads to.
func elapse(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// What a server may do in its turn.

// stream writes text at once and ends.
func stream(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { write(w, text) }
}

// streamAndStay writes text and keeps the connection until the client goes.
func streamAndStay(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		write(w, text)
		<-r.Context().Done()
	}
}

// streamEvery writes text again and again, after each pause, n times.
func streamEvery(pause time.Duration, n int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		write(w, "")
		for range n {
			select {
			case <-time.After(pause):
				write(w, text)
			case <-r.Context().Done():
				return
			}
		}
	}
}

// status answers with a code and headers given in pairs.
func status(code int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
	}
}

// silence does not even answer.
func silence(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func write(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	_, _ = fmt.Fprint(w, text)
	w.(http.Flusher).Flush()
}

// wantStatus requires that err is a StatusError of the code.
func wantStatus(t *testing.T, code int, err error) *client.StatusError {
	t.Helper()
	var statusErr *client.StatusError
	require.ErrorAs(t, err, &statusErr)
	require.Equal(t, code, statusErr.Code)
	return statusErr
}
