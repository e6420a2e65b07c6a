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
)

// A body that does not arrive is not waited for, on routes that want none either: the server reads what it has not
// asked for before it takes the next request.
func TestABodyThatNeverEndsHoldsNoConnection(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	hub := engine.NewHub(engine.WithLogger(log))
	defer hub.Close()
	server := newServer(&serveConfig{}, hub, &statsSource{hub: hub}, log)
	require.Equal(t, readTimeout, server.ReadTimeout)
	server.ReadTimeout = 50 * time.Millisecond // sooner
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	for _, request := range []string{"POST /push", "POST /stats", "GET /stats", "PUT /nowhere"} {
		c, err := net.Dial("tcp", l.Addr().String())
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
	handler := newServer(&serveConfig{memory: true}, hub, &statsSource{hub: hub}, slog.New(slog.DiscardHandler)).Handler
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
		{"GET", "/events?topics=cpu", 400, "topics", "topic"},
		{"GET", "/events?uid=a&uid=b", 400, "uid", "once"},
		{"GET", "/events?last_event_id=ID%25%", 400, "last_event_id", "%25"},
		{"GET", "/events?" + strings.Repeat("topic=x&", 1001), 400, "topics", "1000"},
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
	require.Equal(t, "POST", ask("PUT", "/push").Header.Get("Allow"))
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
