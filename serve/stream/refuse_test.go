package stream_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
)

// answer is what a refused request gets.
type answer struct {
	Title  string
	Status int
	Error  string `json:"detail"`
	Field  string
}

// refused requires a JSON answer with this status and field.
func refused(t *testing.T, rec *httptest.ResponseRecorder, status int, field string) answer {
	t.Helper()
	require.Equal(t, status, rec.Code, rec.Body.String())
	require.Equal(t, "application/problem+json", rec.Header().Get("Content-Type"))
	var a answer
	dec := json.NewDecoder(rec.Body)
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&a))
	require.Equal(t, field, a.Field, a.Error)
	require.Equal(t, status, a.Status)
	require.Equal(t, http.StatusText(status), a.Title)
	require.NotEmpty(t, a.Error)
	return a
}

func newHub(t testing.TB, opts ...engine.HubOption) *engine.Hub {
	t.Helper()
	hub := engine.NewHub(append([]engine.HubOption{engine.WithLogger(silent), engine.WithEnableResendEvents()}, opts...)...)
	t.Cleanup(hub.Close)
	return hub
}

func TestWrongRequestsAreRefusedByField(t *testing.T) {
	long := strings.Repeat("x", 257)
	for _, c := range []struct {
		name, method, query string
		status              int
		field               string
	}{
		{"method", "POST", "", 405, ""},
		{"NUL in uid", "GET", "uid=a%00b", 400, "uid"},
		{"uid too long", "GET", "uid=" + long, 400, "uid"},
		{"uid no UTF-8", "GET", "uid=%ff", 400, "uid"},
		{"ID no UTF-8", "GET", "last_event_id=1%ff", 400, "last_event_id"},
		{"time no UTF-8", "GET", "since=%c0%80", 400, "since"},
		{"half a surrogate pair", "GET", "uid=%ed%a0%80", 400, "uid"},
		{"line feed in topic", "GET", "topic=a&topic=b%0ac", 400, "topics[2]"},
		{"empty topic", "GET", "topic=", 400, "topics[1]"},
		{"topic too long", "GET", "topic=" + long, 400, "topics[1]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			hub := newHub(t)
			rec := httptest.NewRecorder()
			stream.Handler(hub, identify, stream.WithTopics("fixed")).
				ServeHTTP(rec, httptest.NewRequest(c.method, "/?"+c.query, nil))
			refused(t, rec, c.status, c.field)
			if c.status == 405 {
				require.Equal(t, "GET, HEAD, OPTIONS", rec.Header().Get("Allow"))
			}
			require.Zero(t, hub.OnlineClientsNum())
		})
	}
}

// What one connection may follow is bounded, with and without an option, and
// counts what the server itself has added.
func TestTopicsOfAConnectionAreBounded(t *testing.T) {
	ask := func(topics int, opts ...stream.Option) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		stream.Handler(newHub(t), identify, opts...).
			ServeHTTP(rec, httptest.NewRequest("HEAD", "/?"+strings.Repeat("topic=t&", topics), nil))
		return rec
	}
	refused(t, ask(1001), 400, "topics")
	require.Equal(t, 200, ask(1000).Code)
	refused(t, ask(1000, stream.WithTopics("fixed")), 400, "topics")
	refused(t, ask(3, stream.WithMaxTopics(2)), 400, "topics")
	require.Equal(t, 200, ask(2, stream.WithMaxTopics(2)).Code)
	require.Equal(t, 200, ask(1001, stream.WithMaxTopics(1001)).Code)
	refused(t, ask(1001, stream.WithMaxTopics(-1)), 400, "topics")
}

// An identify function chooses the answer by *Error; the text of any other
// error stays inside.
func TestIdentifyRefuses(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		text   string
	}{
		{&stream.Error{Status: 401, Message: "token expired", Field: "Authorization"}, 401, "token expired"},
		{fmt.Errorf("wrapped: %w", &stream.Error{Status: 429, Message: "slow down"}), 429, "slow down"},
		{&stream.Error{Status: 200, Message: "odd"}, 403, "odd"},
		{errors.New("password of the database"), 403, "not allowed"},
	} {
		rec := httptest.NewRecorder()
		stream.Handler(newHub(t), func(*http.Request) (string, []string, error) { return "", nil, c.err }).
			ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
		var e *stream.Error
		field := ""
		if errors.As(c.err, &e) {
			field = e.Field
		}
		require.Equal(t, c.text, refused(t, rec, c.status, field).Error)
	}

	rec := httptest.NewRecorder()
	stream.Handler(newHub(t), func(*http.Request) (string, []string, error) { return "", nil, &stream.Error{Status: 204} }).
		ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	require.Equal(t, 204, rec.Code)
	require.Empty(t, rec.Body.String())
}

func TestHeadMethodGetsTheHeadAlone(t *testing.T) {
	each(t, setup{}, func(t *testing.T, s *site) {
		resp, err := s.client.Head(s.url + "/events")
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, 200, resp.StatusCode)
		require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Empty(t, body)
		require.Zero(t, s.hub.OnlineClientsNum())
	})
}

func TestRefuseGap(t *testing.T) {
	with := setup{options: []stream.Option{stream.WithRefuseGap()}}
	each(t, with, func(t *testing.T, s *site) {
		ids := s.push("", "one", "two")
		for _, id := range []string{"7", "no number", "99999999999999999999"} {
			resp, err := s.client.Get(s.url + "/events?last_event_id=" + strings.ReplaceAll(id, " ", "+"))
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			resp.Body.Close()
			require.Equal(t, http.StatusConflict, resp.StatusCode)
			require.Contains(t, string(body), `"field":"last_event_id"`)
		}
		s.open("", "Last-Event-ID", ids[0]).expect("two")
	})
}

func TestMaxConns(t *testing.T) {
	with := setup{options: []stream.Option{stream.WithMaxConns(2)}}
	each(t, with, func(t *testing.T, s *site) {
		first := s.openBy(s.newClient(), "")
		s.openBy(s.newClient(), "")
		s.online(2)
		resp, err := s.client.Get(s.url + "/events")
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, 503, resp.StatusCode)
		require.NotEmpty(t, resp.Header.Get("Retry-After"))
		first.close()
		s.online(1)
		s.open("")
	})
}

// A nil identify takes everyone as anonymous: such a client gets public events
// and no private one.
func TestNilIdentifyIsAnonymous(t *testing.T) {
	hub := newHub(t)
	server := httptest.NewServer(stream.Handler(hub, nil, stream.WithRetry(0)))
	defer server.Close()
	s := &site{t: t, hub: hub, server: server, client: server.Client(), url: server.URL}
	st := s.open("uid=u1")
	s.push("u1", "private")
	s.push("", "public")
	st.expect("public")
	_, told := st.events.Retry()
	require.False(t, told, "WithRetry(0) leaves the field out")
	hub.Close()
}

// Invariant 9: a request's body holds no handler. What has come is passed over; what does not come, or has no end, is
// refused before there is a stream, whose server has no time-outs.
func TestABodyHoldsNoStream(t *testing.T) {
	with := setup{server: func(s *http.Server) { s.ReadTimeout = 50 * time.Millisecond }}
	for _, m := range modes[:4] { // HTTP/1 by hand
		t.Run(m.name, func(t *testing.T) {
			s := newSite(t, m, with)
			for body, want := range map[string]int{
				"Content-Length: 5\r\n\r\nhello":                             200,
				"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n":  200,
				"Content-Length: 500\r\n\r\nhello":                           408,
				"Transfer-Encoding: chunked\r\n\r\n5\r\nhe":                  408,
				"Content-Length: 65537\r\n\r\n" + strings.Repeat("x", 65537): 413,
			} {
				addr := s.server.Listener.Addr()
				c, err := net.Dial(addr.Network(), addr.String())
				require.NoError(t, err)
				require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
				_, err = io.WriteString(c, "GET /events HTTP/1.1\r\nHost: x\r\n"+body)
				require.NoError(t, err)
				resp, err := http.ReadResponse(bufio.NewReader(c), nil)
				require.NoError(t, err, "%.40q", body)
				require.Equal(t, want, resp.StatusCode, "%.40q", body)
				c.Close()
			}
		})
	}
}
