package stream_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/compress"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/serve/stream/internal/rawtls"
	"github.com/spatehub/spate/wire"
)

// patience ends a test that waits for what does not come.
const patience = 20 * time.Second

// mode is a way from the hub to the client. Each test that holds for all runs
// over all of them.
type mode struct {
	name     string
	tls, h2  bool
	portable bool // WithPortable
	wrapped  bool // the listener's connections are wrapped
	unix     bool
	coding   string // that the client asks for
	ours     bool   // the listener is one of NewTLSListener
	uring    bool   // events go to the kernel in batches
}

var modes = []mode{
	{name: "raw"},
	{name: "raw-unix", unix: true},
	{name: "hijacked", wrapped: true},
	{name: "portable", portable: true},
	{name: "tls", tls: true},
	{name: "raw-tls", tls: true, ours: true},
	{name: "raw-tls-unix", tls: true, ours: true, unix: true},
	{name: "h2", tls: true, h2: true},
	{name: "raw-gzip", coding: "gzip"},
	{name: "raw-zstd", coding: "zstd"},
	{name: "portable-gzip", portable: true, coding: "gzip"},
	{name: "raw-tls-gzip", tls: true, ours: true, coding: "gzip"},
	{name: "h2-zstd", tls: true, h2: true, coding: "zstd"},
	{name: "raw-uring", uring: true},
	{name: "raw-uring-gzip", uring: true, coding: "gzip"},
}

// site is a hub behind a server, and a client for it.
type site struct {
	t      *testing.T
	mode   mode
	hub    *engine.Hub
	server *httptest.Server
	client *http.Client
	url    string

	mu    sync.Mutex
	conns []net.Conn // dialled by client
}

// setup is what a test changes of a site.
type setup struct {
	hub     []engine.HubOption
	options []stream.Option
	around  func(http.Handler) http.Handler
	server  func(*http.Server)
	control func(net.Conn) // sees each connection accepted
}

// identify is the tests' own: who and what the query says.
func identify(r *http.Request) (string, []string, error) {
	q := r.URL.Query()
	return q.Get("uid"), q["topic"], nil
}

var silent = slog.New(slog.DiscardHandler)

// requireIOUring skips a test where the system has none.
func requireIOUring(t testing.TB) {
	t.Helper()
	w, err := stream.IOUring()
	if err != nil {
		t.Skip(err)
	}
	w.Close()
}

func newSite(t *testing.T, m mode, with setup) *site {
	t.Helper()
	s := &site{t: t, mode: m}
	hubOptions := []engine.HubOption{engine.WithLogger(silent), engine.WithEnableResendEvents()}
	if m.coding != "" {
		hubOptions = append(hubOptions, engine.WithEncodings(new(compress.Zstd), new(compress.Gzip)))
	}
	if m.uring {
		requireIOUring(t)
		hubOptions = append(hubOptions, engine.WithBatchWriter(stream.IOUring))
	}
	s.hub = engine.NewHub(append(hubOptions, with.hub...)...)
	options := with.options
	if m.portable {
		options = append(options, stream.WithPortable())
	}
	mux := http.NewServeMux()
	var events http.Handler = stream.Handler(s.hub, identify, options...)
	if with.around != nil {
		events = with.around(events)
	}
	mux.Handle("/events", events)
	mux.Handle("/push", stream.PushHandler(s.hub))

	s.server = httptest.NewUnstartedServer(mux)
	s.server.EnableHTTP2 = m.h2
	s.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	if with.server != nil {
		with.server(s.server.Config)
	}
	if m.unix {
		s.server.Listener.Close()
		l, err := net.Listen("unix", t.TempDir()+"/s")
		require.NoError(t, err)
		s.server.Listener = l
	}
	s.server.Listener = &listener{Listener: s.server.Listener, wrap: m.wrapped, control: with.control}
	if m.ours {
		s.server.Listener = rawtls.Carry(s.server.Listener)
	}
	if m.tls {
		s.server.StartTLS()
	} else {
		s.server.Start()
	}
	s.url = s.server.URL
	if m.unix {
		s.url = "http://unix.test"
		if m.tls {
			s.url = "https://example.com" // which the certificate is for
		}
	}
	s.client = s.newClient()
	t.Cleanup(func() {
		s.hub.Close()
		s.client.CloseIdleConnections()
		s.server.Close()
	})
	return s
}

// newClient returns a client with its own connections, one per request.
func (s *site) newClient() *http.Client {
	tr := s.server.Client().Transport.(*http.Transport).Clone()
	addr := s.server.Listener.Addr()
	tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, addr.Network(), addr.String())
		if err == nil {
			s.mu.Lock()
			s.conns = append(s.conns, c)
			s.mu.Unlock()
		}
		return c, err
	}
	s.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// listener lets a test see or wrap the connections that the server gets.
type listener struct {
	net.Listener
	wrap    bool
	control func(net.Conn)
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if l.control != nil {
		l.control(c)
	}
	if l.wrap {
		return &wrappedConn{c}, nil
	}
	return c, nil
}

type wrappedConn struct{ net.Conn }

// each runs body over every mode.
func each(t *testing.T, with setup, body func(t *testing.T, s *site)) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) { body(t, newSite(t, m, with)) })
	}
}

// follower is a client's side of one stream.
type follower struct {
	t      *testing.T
	resp   *http.Response
	events *wire.Decoder
	cancel context.CancelFunc
}

// open connects with query, such as "uid=u1&topic=a", and header fields.
func (s *site) open(query string, header ...string) *follower {
	s.t.Helper()
	return s.openBy(s.client, query, header...)
}

func (s *site) openBy(client *http.Client, query string, header ...string) *follower {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/events?"+query, nil)
	require.NoError(s.t, err)
	if s.mode.coding != "" {
		req.Header.Set("Accept-Encoding", s.mode.coding)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	require.NoError(s.t, err)
	if s.mode.coding != "" && resp.StatusCode == http.StatusOK && resp.Header.Get("Content-Encoding") != "" {
		require.Equal(s.t, s.mode.coding, resp.Header.Get("Content-Encoding"))
		resp.Body = decoding(s.t, s.mode.coding, resp.Body)
	}
	st := &follower{t: s.t, resp: resp, events: wire.NewDecoder(resp.Body), cancel: cancel}
	s.t.Cleanup(st.close)
	return st
}

func (st *follower) close() {
	st.cancel()
	st.resp.Body.Close()
}

// next returns the next event.
func (st *follower) next() wire.Event {
	st.t.Helper()
	e, err := st.events.Next()
	require.NoError(st.t, err)
	e.Retry = 0 // no event ends behind the retry line of the greeting, so that it is the first one's
	return e
}

// expect reads events with these data, in this order.
func (st *follower) expect(data ...string) {
	st.t.Helper()
	for _, want := range data {
		require.Equal(st.t, want, st.next().Data)
	}
}

// ended requires that nothing follows but the reason and the orderly end.
func (st *follower) ended(reason string) {
	st.t.Helper()
	require.JSONEq(st.t, `{"reason":"`+reason+`"}`, st.expectType(engine.DisconnectEvent))
	_, err := st.events.Next()
	require.ErrorIs(st.t, err, io.EOF)
}

// expectType reads an event of this type, and returns its data.
func (st *follower) expectType(eventType string) string {
	st.t.Helper()
	e := st.next()
	require.Equal(st.t, eventType, e.Event)
	return e.Data.(string)
}

// online waits until the hub has n connections.
func (s *site) online(n int) {
	s.t.Helper()
	require.Eventually(s.t, func() bool { return s.hub.OnlineClientsNum() == n }, patience, time.Millisecond,
		"online clients: %d, want %d", s.hub.OnlineClientsNum(), n)
}

// push publishes to uid, "" for everyone, and returns the IDs.
func (s *site) push(uid string, data ...string) []string {
	s.t.Helper()
	var uids []string
	if uid != "" {
		uids = []string{uid}
	}
	var ids []string
	for _, d := range data {
		got, err := s.hub.Publish(context.Background(), uids, &wire.Event{Data: d})
		require.NoError(s.t, err)
		ids = append(ids, wire.FormatID(got[0]))
	}
	return ids
}
