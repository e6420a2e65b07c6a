package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/serve/api"
	"github.com/spatehub/spate/serve/auth"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// desk is the routes of a hub with a log, and callers by the name that they say: "admin", "tom" (reads a.*), "few" (one
// topic at a time), "old" (expired) and "bad".
type desk struct {
	hub     *engine.Hub
	mux     *http.ServeMux
	api     *api.API
	drained atomic.Int32
}

func newDesk(t testing.TB, opts ...engine.HubOption) *desk {
	t.Helper()
	d := &desk{mux: http.NewServeMux()}
	d.hub = engine.NewHub(append([]engine.HubOption{engine.WithStore(persist.NewMemory()), engine.WithEnableResendEvents(),
		engine.WithLogger(slog.New(slog.DiscardHandler))}, opts...)...)
	t.Cleanup(d.hub.Close)
	read, err := wire.ParsePattern("a.*")
	require.NoError(t, err)
	d.api = &api.API{Hub: d.hub, Query: []string{"who"}, Drain: func() { d.drained.Add(1) }, Authorize: func(r *http.Request) (stream.Grant, error) {
		switch who := r.URL.Query().Get("who"); who {
		case "admin":
			return stream.FullGrant(""), nil
		case "tom":
			return stream.Grant{User: who, Read: []wire.Pattern{read}}, nil
		case "few":
			return stream.Grant{User: who, Read: []wire.Pattern{read}, Limits: stream.Limits{Topics: 1}}, nil
		case "old":
			g := stream.FullGrant("")
			g.Expires = g.Expires.AddDate(2000, 0, 0)
			return g, nil
		case "bad":
			return stream.Grant{}, errors.New("a reason that is nobody's business")
		}
		return stream.Grant{}, &stream.Error{Status: http.StatusUnauthorized, Message: "who?"}
	}}
	d.api.Register(d.mux)
	return d
}

func (d *desk) ask(method, target string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	d.mux.ServeHTTP(rec, httptest.NewRequest(method, target, nil))
	return rec
}

// problem is the body of all errors.
type problem struct {
	Title, Detail, Field string
	Status               int
}

// Each route refuses whom it is not for, and what it can't make sense of, by status and name of the field; nothing of it
// is done.
func TestRoutesRefuse(t *testing.T) {
	d := newDesk(t)
	connection := engine.ConnectionID(1).String()
	long := strings.Repeat("x", 257)
	type row struct {
		method, target string
		status         int
		field          string
	}
	var rows []row
	for _, route := range []string{"GET /history", "GET /users", "GET /users/tom", "DELETE /users/tom", "GET /connections", "DELETE /connections/" + connection, "POST /drain"} {
		method, path, _ := strings.Cut(route, " ")
		rows = append(rows, row{method, path, 401, ""}, row{method, path + "?who=old", 401, ""}, row{method, path + "?who=bad", 403, ""},
			row{method, path + "?who=admin&misspelt=1", 400, "misspelt"}, row{method, path + "?who=admin&who=admin", 400, "who"}, row{method, path + "?who=admin&%zz", 400, "%zz"})
		if path != "/history" && route != "GET /users/tom" {
			rows = append(rows, row{method, path + "?who=tom", 403, ""})
		}
	}
	rows = append(rows,
		row{"GET", "/history?who=tom&topic=b", 403, "topic"}, row{"GET", "/history?who=tom&topic=a.1&topic=a.*&topic=a.>", 403, "topic"},
		row{"GET", "/history?who=tom&topic=" + long, 400, "topic"}, row{"GET", "/history?who=tom&topic=a..b", 403, "topic"},
		row{"GET", "/history?who=tom&uid=ann", 403, "uid"}, row{"GET", "/history?who=admin&uid=" + long, 400, "uid"},
		row{"GET", "/history?who=few&topic=a.1&topic=a.2", 400, "topic"},
		row{"GET", "/history?who=admin" + strings.Repeat("&topic=a", 1001), 400, "topic"}, row{"GET", "/history?who=admin" + strings.Repeat("&topic=*", 65), 400, "topic"},
		row{"GET", "/history?who=admin&after=x", 400, "after"}, row{"GET", "/history?who=admin&after=-1", 400, "after"}, row{"GET", "/history?who=admin&since=", 400, "since"}, row{"GET", "/history?who=admin&after=99999999999999999999", 400, "after"},
		row{"GET", "/users/ann?who=tom", 403, ""}, row{"GET", "/users/" + long + "?who=admin", 400, "uid"}, row{"DELETE", "/users/" + long + "?who=admin", 400, "uid"},
		row{"GET", "/users/a%FFb?who=admin", 400, "uid"},
		row{"GET", "/connections?who=admin&state=gone", 400, "state"}, row{"GET", "/connections?who=admin&topic=a.*", 400, "topic"},
		row{"GET", "/connections?who=admin&topic=" + long, 400, "topic"},
		row{"GET", "/users?who=admin&cursor=x", 400, "cursor"}, row{"GET", "/connections?who=admin&cursor=x", 400, "cursor"},
		row{"DELETE", "/connections/x?who=admin", 400, "id"}, row{"DELETE", "/connections/" + connection + "?who=admin", 404, "id"},
	)
	for _, path := range []string{"/history", "/users", "/connections"} {
		for _, limit := range []string{"", "0", "-1", "1001", "x", "1e2", "99999999999999999999"} {
			rows = append(rows, row{"GET", path + "?who=admin&limit=" + limit, 400, "limit"})
		}
		rows = append(rows, row{"GET", path + "?who=admin&limit=1&limit=1", 400, "limit"})
	}
	for _, r := range rows {
		rec := d.ask(r.method, r.target)
		what := fmt.Sprintf("%s %.100s: %s", r.method, r.target, rec.Body)
		require.Equal(t, r.status, rec.Code, what)
		require.Equal(t, "application/problem+json", rec.Header().Get("Content-Type"), what)
		require.Equal(t, "no-store", rec.Header().Get("Cache-Control"), what)
		var p problem
		require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &p), what)
		require.Equal(t, r.status, p.Status, what)
		require.Equal(t, r.field, p.Field, what)
		require.NotContains(t, p.Detail, "nobody's business")
	}
	for _, route := range []string{"POST /drain", "DELETE /users/tom", "DELETE /connections/" + connection} {
		method, path, _ := strings.Cut(route, " ")
		for _, body := range []io.Reader{strings.NewReader("{}"), io.MultiReader(strings.NewReader("{}"))} { // the second one does not say how long it is
			rec := httptest.NewRecorder()
			d.mux.ServeHTTP(rec, httptest.NewRequest(method, path+"?who=admin", body))
			require.Equal(t, 400, rec.Code, route)
			require.Contains(t, rec.Body.String(), `"field":"body"`, route)
		}
	}
	require.Zero(t, d.drained.Load())
	require.Equal(t, 202, d.ask("POST", "/drain?who=admin").Code)
	require.EqualValues(t, 1, d.drained.Load())
}

// Whom an event was pushed to is an operator's business alone: the user for whom it asks comes first, and of very many some are
// named.
func TestOperatorsAreToldUsers(t *testing.T) {
	d := newDesk(t)
	many := make([]string, 150)
	for i := range many {
		many[i] = fmt.Sprintf("u%03d", i)
	}
	require.NoError(t, d.hub.Push(append(many, "tom"), &wire.Event{Data: "1"}))
	require.NoError(t, d.hub.Push(nil, &wire.Event{Data: "2"}))
	type page struct {
		Events []struct {
			Data      string
			Users     []string
			UsersMore int `json:"users_more"`
		}
	}
	read := func(who string) (p page) {
		rec := d.ask("GET", "/history?"+who)
		require.Equal(t, 200, rec.Code)
		require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &p))
		require.Len(t, p.Events, 2)
		return p
	}
	all := read("who=admin&uid=tom").Events
	require.Equal(t, append([]string{"tom"}, many[:99]...), all[0].Users)
	require.Equal(t, 51, all[0].UsersMore)
	require.Nil(t, all[1].Users)
	for _, e := range read("who=tom").Events {
		require.Empty(t, e.Users)
		require.Zero(t, e.UsersMore)
	}
}

// Without an authorizer nobody is let in; without a log there is no history; and a hub that has closed says so.
func TestRoutesOfHubsThatCannot(t *testing.T) {
	d := newDesk(t)
	d.api.Authorize = nil
	require.Equal(t, 403, d.ask("GET", "/history?who=admin").Code)

	bare := engine.NewHub(engine.WithLogger(slog.New(slog.DiscardHandler)))
	defer bare.Close()
	mux := http.NewServeMux()
	(&api.API{Hub: bare, Authorize: func(*http.Request) (stream.Grant, error) { return stream.FullGrant(""), nil }}).Register(mux)
	ask := func(method, target string) int {
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, httptest.NewRequest(method, target, nil))
		return rec.Code
	}
	require.Equal(t, 501, ask("GET", "/history"))
	require.Equal(t, 404, ask("POST", "/drain"), "there is none")
	require.Equal(t, 200, ask("GET", "/users"))
	bare.Close()
	for _, route := range []string{"GET /history", "GET /users", "GET /users/tom", "DELETE /users/tom", "GET /connections"} {
		method, path, _ := strings.Cut(route, " ")
		require.Contains(t, []int{501, 503}, ask(method, path), route)
	}
}

// A request whose time is over is answered, and does not stay.
func TestRoutesEndWithTheirRequest(t *testing.T) {
	d := newDesk(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, route := range []string{"GET /history", "GET /users", "GET /users/tom", "DELETE /users/tom", "GET /connections"} {
		method, path, _ := strings.Cut(route, " ")
		rec := httptest.NewRecorder()
		d.mux.ServeHTTP(rec, httptest.NewRequestWithContext(ctx, method, path+"?who=admin", nil))
		require.Contains(t, []int{200, 503}, rec.Code, route) // what was done at once may be told
	}
}

// sink is a connection that takes everything.
type sink struct{ closed chan error }

func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) Close(reason error)          { s.closed <- reason }

// revokeFunc is the api.Revoker of a hub that is alone.
type revokeFunc func(user string) (int, error)

func (f revokeFunc) Revoke(user string) (int, json.RawMessage, error) {
	n, err := f(user)
	return n, nil, err
}
func (revokeFunc) Take(json.RawMessage) (int, error)  { return 0, nil }
func (revokeFunc) Tell(context.Context, string) error { return nil }

// A user that can't be revoked is answered by why, and its connections stay; one that can is ended by both.
func TestAUserThatCannotBeRevokedStays(t *testing.T) {
	d := newDesk(t)
	s := &sink{make(chan error, 1)}
	_, err := d.hub.Subscribe(engine.Subscription{UID: "tom"}, s)
	require.NoError(t, err)
	d.api.Revoker = revokeFunc(func(uid string) (int, error) {
		require.Equal(t, "tom", uid)
		return 0, auth.ErrRevocationsFull
	})
	rec := d.ask("DELETE", "/users/tom?who=admin")
	require.Equal(t, 503, rec.Code)
	require.Contains(t, rec.Body.String(), "100000")
	require.NotEmpty(t, rec.Header().Get("Retry-After"))
	d.api.Revoker = revokeFunc(func(string) (int, error) { return 0, errors.New("/a/path") })
	rec = d.ask("DELETE", "/users/tom?who=admin")
	require.Equal(t, 500, rec.Code)
	require.NotContains(t, rec.Body.String(), "path")
	require.Contains(t, d.ask("GET", "/users/tom?who=admin").Body.String(), `"connections":1`)
	require.Empty(t, s.closed)

	d.api.Revoker = revokeFunc(func(string) (int, error) { return 2, nil })
	rec = d.ask("DELETE", "/users/tom?who=admin")
	require.Equal(t, 200, rec.Code)
	require.JSONEq(t, `{"disconnected":3}`, rec.Body.String())
	require.ErrorIs(t, <-s.closed, engine.ErrReconnect)
}

// A page tells what a stream with the same rights would get, page after page, everything once.
func TestHistoryInPages(t *testing.T) {
	d := newDesk(t)
	var want []string
	for i := range 25 {
		require.NoError(t, d.hub.Push(nil, &wire.Event{Topic: "a.1", Data: fmt.Sprint(i)}))
		require.NoError(t, d.hub.Push([]string{"ann"}, &wire.Event{Data: "another's"}))
		require.NoError(t, d.hub.Push(nil, &wire.Event{Topic: "b", Data: "not asked for"}))
		want = append(want, fmt.Sprint(i))
	}
	var got []string
	after := ""
	for pages := 0; ; pages++ {
		require.Less(t, pages, 50)
		rec := d.ask("GET", "/history?who=tom&topic=a.*&limit=7&after="+after)
		require.Equal(t, 200, rec.Code, rec.Body)
		var page struct {
			Events []struct{ ID, Topic, Data string }
			Next   string
			More   bool
		}
		require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &page))
		require.LessOrEqual(t, len(page.Events), 7)
		for _, e := range page.Events {
			require.Equal(t, "a.1", e.Topic)
			got = append(got, e.Data)
		}
		if after = page.Next; !page.More {
			break
		}
	}
	require.Equal(t, want, got)
}

// FuzzQuery: whatever a query says, the answer is one of those that are documented, a problem where it is an error, and
// nothing of another user.
func FuzzQuery(f *testing.F) {
	d := newDesk(f)
	require.NoError(f, d.hub.Push([]string{"ann"}, &wire.Event{Data: "secret of ann"}))
	require.NoError(f, d.hub.Push(nil, &wire.Event{Topic: "b", Data: "secret of b"}))
	for _, q := range []string{"topic=a.*&limit=5", "after=1&after=2", "uid=ann", "uid=&topic=%zz", "topic=>&limit=1001", "cursor=x", "after=earliest;limit=1", "&&==", "topic=a.1&topic=b"} {
		f.Add(0, q)
		f.Add(3, q)
	}
	routes := []string{"/history", "/users", "/connections", "/users/tom", "/users/ann"}
	f.Fuzz(func(t *testing.T, n int, query string) {
		r := httptest.NewRequest("GET", routes[uint(n)%uint(len(routes))], nil)
		if values, err := url.ParseQuery(query); err == nil && values.Has("who") {
			return
		}
		r.URL.RawQuery = "who=tom&" + query
		rec := httptest.NewRecorder()
		d.mux.ServeHTTP(rec, r)
		require.Contains(t, []int{200, 400, 403}, rec.Code, rec.Body)
		require.True(t, json.Valid(rec.Body.Bytes()))
		require.NotContains(t, rec.Body.String(), "secret")
		if rec.Code != 200 {
			require.Equal(t, "application/problem+json", rec.Header().Get("Content-Type"))
		}
	})
}
