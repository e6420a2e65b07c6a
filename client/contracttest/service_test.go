package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), // idle connections of http.DefaultClient
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
	)
}

// suite stands for the contract tests: a stream to read, and a place for callbacks.
type suite struct {
	*httptest.Server
	requests  chan *http.Request
	callbacks chan string // "number kind text"
}

func newSuite(t *testing.T) *suite {
	s := &suite{requests: make(chan *http.Request, 10), callbacks: make(chan string, 10)}
	mux := http.NewServeMux()
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Header.Set("Body", string(body))
		s.requests <- r
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprint(w, ":hello\nid: 1\nevent: put\ndata: x\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("POST /back/{n}", func(_ http.ResponseWriter, r *http.Request) {
		var m message
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			s.callbacks <- err.Error()
			return
		}
		s.callbacks <- fmt.Sprint(r.PathValue("n"), " ", m.Kind, " ", m.Comment, m.Event["type"], m.Event["data"], m.Event["id"])
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func receive[T any](t *testing.T, from chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(30 * time.Second):
		require.Fail(t, "nothing came")
		panic("unreachable")
	}
}

func send(t *testing.T, method, url, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// The protocol of the contract tests, from the status to the end.
func TestService(t *testing.T) {
	quit := make(chan struct{})
	srv := newService(func() { close(quit) })
	service := httptest.NewServer(srv)
	defer service.Close()
	defer srv.close()
	s := newSuite(t)

	resp := send(t, http.MethodGet, service.URL+"/", "")
	var status struct{ Capabilities []string }
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&status))
	require.Equal(t, capabilities, status.Capabilities)

	for _, bad := range []string{"", "{", `{"streamUrl":"http://x/"}`} {
		require.Equal(t, 400, send(t, http.MethodPost, service.URL+"/", bad).StatusCode, bad)
	}
	resp = send(t, http.MethodPost, service.URL+"/", fmt.Sprintf(
		`{"streamUrl":%q,"callbackUrl":%q,"initialDelayMs":0,"lastEventId":"abc","method":"REPORT","body":"{}","headers":{"x-a":"b"}}`,
		s.URL+"/stream", s.URL+"/back"))
	require.Equal(t, 201, resp.StatusCode)
	stream := service.URL + resp.Header.Get("Location")

	r := receive(t, s.requests)
	require.Equal(t, "REPORT abc b {}", r.Method+" "+r.Header.Get("Last-Event-ID")+" "+r.Header.Get("X-A")+" "+r.Header.Get("Body"))
	require.Equal(t, "1 comment hello<nil> <nil> <nil>", receive(t, s.callbacks))
	require.Equal(t, "2 event putx1", receive(t, s.callbacks))

	require.Equal(t, 400, send(t, http.MethodPost, stream, `{"command":"dance"}`).StatusCode)
	require.Equal(t, 202, send(t, http.MethodPost, stream, `{"command":"restart"}`).StatusCode)
	require.Equal(t, "1", receive(t, s.requests).Header.Get("Last-Event-ID"))
	require.Equal(t, "3 comment hello<nil> <nil> <nil>", receive(t, s.callbacks))
	require.Equal(t, "4 event putx1", receive(t, s.callbacks))

	require.Equal(t, 204, send(t, http.MethodDelete, stream, "").StatusCode)
	require.Equal(t, 404, send(t, http.MethodDelete, stream, "").StatusCode)
	require.Equal(t, 404, send(t, http.MethodPost, stream, `{"command":"restart"}`).StatusCode)
	require.Equal(t, 404, send(t, http.MethodPost, service.URL+"/streams/x", `{"command":"restart"}`).StatusCode)
	send(t, http.MethodDelete, service.URL+"/", "")
	receive(t, quit)
}

// A read timeout is told as an error, and a refusal too.
func TestErrorsAreTold(t *testing.T) {
	srv := newService(func() {})
	service := httptest.NewServer(srv)
	defer service.Close()
	defer srv.close()
	s := newSuite(t)
	send(t, http.MethodPost, service.URL+"/", fmt.Sprintf(`{"streamUrl":%q,"callbackUrl":%q,"readTimeoutMs":50,"initialDelayMs":0}`, s.URL+"/stream", s.URL+"/back"))
	receive(t, s.callbacks)
	receive(t, s.callbacks)
	require.Contains(t, receive(t, s.callbacks), "3 error")
	send(t, http.MethodPost, service.URL+"/", fmt.Sprintf(`{"streamUrl":%q,"callbackUrl":%q}`, s.URL+"/back/7", s.URL+"/back"))
	for !strings.HasPrefix(receive(t, s.callbacks), "1 error") {
	}
}
