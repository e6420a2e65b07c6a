package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/serve/api"
	"github.com/spatehub/spate/serve/stream"
)

// answers are those of an API whose caller may do everything.
func answers(a *api.API) func(method, target string) *httptest.ResponseRecorder {
	a.Authorize = func(*http.Request) (stream.Grant, error) { return stream.FullGrant(""), nil }
	mux := http.NewServeMux()
	a.Register(mux)
	return func(method, target string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(method, target, nil))
		return w
	}
}

// What is wrong with a query is told by the name that it has there.
func TestTheAudiencesErrorsNameTheParameter(t *testing.T) {
	hub := engine.NewHub()
	defer hub.Close()
	ask := answers(&api.API{Hub: hub})
	for query, field := range map[string]string{"user=": "user", "user=tom&user=%00": "user", "uid=tom": "uid", "topic=a.*": "topic", "topic=": "topic"} {
		w := ask("GET", "/audience?"+query)
		require.Equal(t, 400, w.Code, query)
		require.Contains(t, w.Body.String(), `"field":"`+field+`"`, query)
	}
}

// A revocation that has been made is not answered by an error because the hub has drained: who reads that it failed
// thinks that nothing was revoked.
func TestARevocationHoldsAtAHubThatHasClosed(t *testing.T) {
	hub := engine.NewHub()
	hub.Close()
	var revoked []string
	a := &api.API{Hub: hub, Revoker: revokeFunc(func(uid string) (int, error) {
		revoked = append(revoked, uid)
		return 0, nil
	})}
	w := answers(a)("DELETE", "/users/tom")
	require.Equal(t, 200, w.Code, w.Body.String())
	require.Equal(t, []string{"tom"}, revoked)
	a = &api.API{Hub: hub}
	require.Equal(t, 503, answers(a)("DELETE", "/users/tom").Code, "nothing is done")
}

// Names and all else in a query are text, by one rule on all routes.
func TestWhatIsNoTextIsRefused(t *testing.T) {
	hub := engine.NewHub(engine.WithLog(persist.NewMemory()))
	defer hub.Close()
	ask := answers(&api.API{Hub: hub})
	for target, field := range map[string]string{
		"/connections?uid=%ff":                         "uid",
		"/connections?uid=a%00b":                       "uid",
		"/connections?uid=" + strings.Repeat("x", 257): "uid",
		"/connections?address=%ff":                     "address",
		"/connections?address=nowhere":                 "address",
		"/connections?address=127.0.0.1%3A80":          "address",
		"/connections?cursor=%ff":                      "cursor",
		"/users?cursor=%ff":                            "cursor",
		"/users/%ff":                                   "uid",
		"/history?uid=%ff":                             "uid",
		"/history?uid=a%00b":                           "uid",
		"/history?topic=%ff":                           "topic",
		"/history?after=1%ff":                          "after",
		"/history?since=%ff":                           "since",
		"/history?since=9999-12-31T23:59:59Z":          "since",
		"/history?=7":                                  "query",
		"/audience?topic=%ff":                          "topic",
		"/audience?user=%ff":                           "user",
	} {
		w := ask("GET", target)
		require.Equal(t, 400, w.Code, target)
		require.Contains(t, w.Body.String(), `"field":"`+field, target)
	}
	require.Equal(t, 400, ask("DELETE", "/users/%ff").Code)
	require.Equal(t, 200, ask("GET", "/connections?uid=").Code, "all of them")
}
