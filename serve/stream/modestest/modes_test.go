package modestest

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent(), // ants has a pool of its own from the start
		goleak.IgnoreTopFunction("github.com/alexedwards/scs/v2/memstore.(*MemStore).startCleanup"))
}

// patience ends a test that waits for what does not come.
const patience = 20 * time.Second

// mode is a way from the hub to the client.
type mode struct {
	name             string
	tls, h2          bool
	portable, unix   bool
	wrapsConnections bool
	ours             bool // the listener is one of NewTLSListener
}

var modes = []mode{
	{name: "taken over"},
	{name: "portable", portable: true},
	{name: "Unix socket", unix: true},
	{name: "wrapped connection", wrapsConnections: true},
	{name: "TLS", tls: true},
	{name: "TLS, taken over", tls: true, ours: true},
	{name: "HTTP/2", tls: true, h2: true},
}

// site is a hub behind a chain in one mode.
type site struct {
	t      *testing.T
	hub    *engine.Hub
	client *http.Client
	url    string

	mu  sync.Mutex
	log bytes.Buffer // what the server complains about
}

// Write takes the server's log.
func (s *site) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

func (s *site) complaints() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

func newSite(t *testing.T, c chain, m mode) *site {
	s := &site{t: t}
	s.hub = engine.NewHub(engine.WithLogger(slog.New(slog.DiscardHandler)), engine.WithEnableResendEvents())
	var opts []stream.Option
	if m.portable {
		opts = append(opts, stream.WithPortable())
	}
	server := httptest.NewUnstartedServer(c.handler(s.hub, opts...))
	server.Config.ErrorLog = log.New(s, "", 0)
	server.EnableHTTP2 = m.h2
	if m.unix {
		server.Listener.Close()
		l, err := net.Listen("unix", t.TempDir()+"/s")
		require.NoError(t, err)
		server.Listener = l
	}
	if m.wrapsConnections {
		server.Listener = wrapping{server.Listener}
	}
	s.url = "http://hub.test"
	switch {
	case m.ours:
		lender := httptest.NewTLSServer(nil)
		lender.Close()
		server.Listener = stream.NewTLSListener(server.Listener, lender.TLS)
		server.Start()
		s.url = "https://hub.test"
	case m.tls:
		server.StartTLS()
		s.url = "https://hub.test"
	default:
		server.Start()
	}
	addr := server.Listener.Addr()
	tr := &http.Transport{
		DisableCompression: true, ForceAttemptHTTP2: m.h2,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the test's own certificate
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, addr.Network(), addr.String())
		},
	}
	s.client = &http.Client{Transport: tr}
	t.Cleanup(func() {
		s.hub.Close()
		tr.CloseIdleConnections()
		server.Close()
	})
	return s
}

type wrapping struct{ net.Listener }

func (l wrapping) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return struct{ net.Conn }{c}, err
}

// answer is what a client sees of one request.
type answer struct {
	Status int
	Header []string // sorted, without what differs by protocol and from one answer to the next
	Body   string
	End    string // "orderly", or what went wrong
}

// open sends a request, and returns the answer without its body.
func (s *site) open(path string, header ...string) (answer, *http.Response) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	s.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	require.NoError(s.t, err)
	req.Header.Set("Origin", "https://page.test")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.client.Do(req)
	require.NoError(s.t, err)
	a := answer{Status: resp.StatusCode}
	for name, values := range resp.Header {
		switch name {
		case "Date", "Connection", "X-Request-Id":
			continue
		}
		for _, v := range values {
			if name == "Set-Cookie" {
				v, _, _ = strings.Cut(v, "=")
			}
			a.Header = append(a.Header, name+": "+v)
		}
	}
	sort.Strings(a.Header)
	return a, resp
}

// read reads the body to its end.
func (a *answer) read(body io.Reader) {
	b, err := io.ReadAll(body)
	a.Body, a.End = ids.ReplaceAllString(string(b), "id: N"), "orderly"
	if err != nil {
		a.End = err.Error()
	}
}

// ids differ from hub to hub.
var ids = regexp.MustCompile(`id: \d+`)

func (s *site) online(n int) {
	s.t.Helper()
	require.Eventually(s.t, func() bool { return s.hub.OnlineClientsNum() == n }, patience, time.Millisecond)
}

func (s *site) push(data string) {
	require.NoError(s.t, s.hub.Push(nil, &wire.Event{Data: data}))
}

const stream1 = ": spate\nretry: 3000\nid: N\ndata: one\n\nid: N\ndata: two\ndata: lines\n\n"

func farewell(reason string) string {
	return "event: disconnect\ndata: {\"reason\":\"" + reason + "\"}\n\n"
}

// Invariant 11: status, headers, bytes and end are the same over every mode,
// behind whatever framework and middleware, and the server has nothing to complain
// about.
func TestOneBehaviourOverAllModes(t *testing.T) {
	for _, c := range chains {
		t.Run(c.name, func(t *testing.T) {
			bodies := map[string]func(t *testing.T, s *site) answer{
				"closed": toTheEnd, "deadline": toTheDeadline, "refused": refused, "coded": coded,
			}
			for name, body := range bodies {
				t.Run(name, func(t *testing.T) {
					var first answer
					for i, m := range modes {
						s := newSite(t, c, m)
						got := body(t, s)
						s.online(0)
						if i == 0 {
							first = got
						}
						require.Equal(t, first, got, m.name)
						require.Empty(t, s.complaints(), m.name)
					}
				})
			}
		})
	}
}

// toTheEnd follows a stream until the hub closes.
func toTheEnd(t *testing.T, s *site) answer {
	a, resp := s.open("/events")
	defer resp.Body.Close()
	s.push("one")
	s.push("two\nlines")
	s.online(1)
	go s.hub.Close()
	a.read(resp.Body)
	require.Equal(t, 200, a.Status)
	require.Equal(t, stream1+farewell("closed"), a.Body)
	require.Equal(t, "orderly", a.End)
	require.Contains(t, a.Header, "Content-Type: text/event-stream")
	require.Contains(t, a.Header, "Cache-Control: no-cache, no-transform")
	return a
}

// toTheDeadline follows a stream until the deadline of its request's context.
func toTheDeadline(t *testing.T, s *site) answer {
	a, resp := s.open("/timed")
	defer resp.Body.Close()
	s.push("one")
	s.push("two\nlines")
	a.read(resp.Body)
	require.Equal(t, stream1+farewell("expired"), a.Body)
	require.Equal(t, "orderly", a.End)
	return a
}

// refused asks for what cannot be.
func refused(t *testing.T, s *site) answer {
	a, resp := s.open("/events?on_gap=maybe")
	defer resp.Body.Close()
	a.read(resp.Body)
	require.Equal(t, 400, a.Status)
	require.Contains(t, a.Body, "on_gap")
	return a
}

// coded asks for a compressed body: what middleware applies, it applies in every
// mode, and each event comes when it is pushed.
func coded(t *testing.T, s *site) answer {
	a, resp := s.open("/events", "Accept-Encoding", "gzip")
	defer resp.Body.Close()
	body := io.Reader(resp.Body)
	if resp.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(resp.Body)
		require.NoError(t, err)
		body = z
	}
	d := wire.NewDecoder(body)
	for _, data := range []string{"one", "two"} {
		s.push(data)
		e, err := d.Next()
		require.NoError(t, err)
		require.Equal(t, data, e.Data)
	}
	go s.hub.Close()
	e, err := d.Next()
	require.NoError(t, err)
	require.Equal(t, engine.DisconnectEvent, e.Event)
	_, err = d.Next()
	require.ErrorIs(t, err, io.EOF)
	return a
}
