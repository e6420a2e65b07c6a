package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist/pebblelog"
)

// A body that does not arrive is not waited for, on routes that want none either: the server reads what it has not
// asked for before it takes the next request.
func TestABodyThatNeverEndsHoldsNoConnection(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	hub := engine.NewHub(engine.WithLogger(log))
	defer hub.Close()
	l, err := pebblelog.Open(t.TempDir(), pebblelog.WithLogger(log))
	require.NoError(t, err)
	defer l.Close()
	c := &serveConfig{backupDir: t.TempDir()}
	server := newServer(c, hub, newAccess(c, log), &statsSource{hub: hub, log: l}, parts{drain: newDrainer(t.Context(), drainConfig{}, hub, io.Discard)}, log)
	require.Equal(t, readTimeout, server.ReadTimeout)
	server.ReadTimeout = 50 * time.Millisecond // sooner
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	for _, request := range []string{"POST /push", "POST /stats", "GET /stats", "PUT /nowhere", "GET /events", "POST /backup"} {
		c, err := net.Dial("tcp", listener.Addr().String())
		require.NoError(t, err)
		require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
		_, err = fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", request)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, c)
		require.NoError(t, err, "%s: the connection is not closed", request)
		c.Close()
	}
	require.NoError(t, server.Close())
	<-served
}

// All routes refuse in one form, application/problem+json, and say what is taken; and what is promised fits the head.
func TestErrorsHaveOneForm(t *testing.T) {
	hub := engine.NewHub(engine.WithLogger(slog.New(slog.DiscardHandler)))
	defer hub.Close()
	handler := newServer(&serveConfig{memory: true}, hub, newAccess(&serveConfig{}, slog.New(slog.DiscardHandler)), &statsSource{hub: hub}, parts{drain: newDrainer(t.Context(), drainConfig{}, hub, io.Discard)}, slog.New(slog.DiscardHandler)).Handler
	ask := func(method, target string) *http.Response {
		rec := httptest.NewRecorder()
		r := httptest.NewRequest(method, target, nil)
		r.Host = "localhost"
		handler.ServeHTTP(rec, r)
		return rec.Result()
	}
	for _, c := range []struct {
		method, target string
		status         int
		field, detail  string
	}{
		{"GET", "/nowhere", 404, "", "/events"},
		{"PUT", "/push", 405, "", "POST"},
		{"POST", "/events", 405, "", "GET"},
		{"POST", "/push", 415, "Content-Type", "application/json"},
		{"POST", "/push?uid=a", 400, "query", "uids"},
		{"PUT", "/", 405, "", "GET"},
		{"GET", "/ui/nothing.js", 404, "", "nothing"},
		{"GET", "/events?topics=cpu", 400, "topics", "topic"},
		{"GET", "/events?uid=a&uid=b", 400, "uid", "once"},
		{"GET", "/events?last_event_id=ID%25%", 400, "last_event_id", "%25"},
		{"GET", "/events?" + strings.Repeat("topic=x&", 1001), 400, "topic", "1000"},
	} {
		res := ask(c.method, c.target)
		require.Equal(t, c.status, res.StatusCode, c.target)
		require.Equal(t, "application/problem+json", res.Header.Get("Content-Type"))
		var p struct {
			Title, Detail, Field string
			Status               int
		}
		require.NoError(t, json.NewDecoder(res.Body).Decode(&p))
		require.Equal(t, c.status, p.Status)
		require.Equal(t, http.StatusText(c.status), p.Title)
		require.Equal(t, c.field, p.Field)
		require.Contains(t, p.Detail, c.detail)
	}
	require.Equal(t, "POST, OPTIONS", ask("PUT", "/push").Header.Get("Allow"))
	for target, allow := range map[string]string{"/push": "POST, OPTIONS", "/events": "GET, HEAD, OPTIONS", "/healthz": "GET, HEAD, OPTIONS"} {
		res := ask("OPTIONS", target)
		require.Equal(t, 204, res.StatusCode, target)
		require.Equal(t, allow, res.Header.Get("Allow"), target)
	}
	require.Equal(t, 404, ask("OPTIONS", "/nowhere").StatusCode)
	hub.Close()
	res := ask("GET", "/healthz")
	require.Equal(t, 503, res.StatusCode)
	require.Equal(t, "application/problem+json", res.Header.Get("Content-Type"))
}

// A connection may follow as many topics of the longest names as is promised.
func TestTheHeadTakesWhatIsPromised(t *testing.T) {
	s := startServe(t, "--memory")
	var query strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&query, "topic=%0256d&", i)
	}
	res, err := http.Head(s.base + "/events?" + query.String())
	require.NoError(t, err)
	res.Body.Close()
	require.Equal(t, 200, res.StatusCode)
}

// The bound is on an event's data, whatever its text takes in JSON; what is beyond that of the body is told with the bound.
func TestTheBodyTakesTheLargestEvent(t *testing.T) {
	s := startServe(t, "--memory", "--max-event-size", "256KiB")
	push := func(one string, n int) (int, string) {
		body := `{"events":[{"data":"` + strings.Repeat(one, n) + `"}]}`
		res, err := http.Post(s.base+"/push", "application/json", strings.NewReader(body))
		require.NoError(t, err)
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res.StatusCode, string(text)
	}
	for _, one := range []string{`\n`, `\"`, `\u0001`} {
		status, text := push(one, 256<<10)
		require.Equal(t, 200, status, "%s: %s", one, text)
	}
	status, text := push(`\u0001`, 256<<10+1)
	require.Equal(t, 413, status)
	require.Contains(t, text, "events[0].data")
	status, text = push("x", 256<<10*6+1<<20)
	require.Equal(t, 413, status)
	require.Contains(t, text, "2621440 bytes")
}
