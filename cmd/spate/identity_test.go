package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/serve/stream"
)

// Behind a proxy its header alone says who a user is, once and in whatever case; what the client says besides, and a
// header that was added to rather than set, are refused by name. Without it, or empty, nobody is meant.
func TestTheProxysHeaderAloneNamesTheUser(t *testing.T) {
	identify := (&serveConfig{userHeader: "x-spate-user"}).identify()
	for _, c := range []struct {
		query   string
		headers [][2]string
		uid     string
		field   string // "": taken
	}{
		{"topic=a", nil, "", ""},
		{"", [][2]string{{"X-Spate-User", "u1"}}, "u1", ""},
		{"", [][2]string{{"x-SPATE-user", "u1"}}, "u1", ""},
		{"", [][2]string{{"X-Spate-User", ""}}, "", ""},
		{"", [][2]string{{"X_Spate_User", "u2"}}, "", ""},
		{"", [][2]string{{"X-Spate-User", "u1"}, {"x-spate-user", "u2"}}, "", "x-spate-user"},
		{"uid=u2", [][2]string{{"X-Spate-User", "u1"}}, "", "uid"},
		{"uid=", [][2]string{{"X-Spate-User", "u1"}}, "", "uid"},
		{"uid=u2", nil, "", "uid"},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			r := httptest.NewRequest(method, "/events?"+c.query, nil)
			for _, h := range c.headers {
				r.Header.Add(h[0], h[1])
			}
			g, err := identify(r)
			require.Equal(t, c.uid, g.User)
			if c.field == "" {
				require.NoError(t, err)
				require.Equal(t, r.Header.Values("X-Spate-User") == nil, g.Admin && g.Push.Everyone)
				continue
			}
			var e *stream.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, c.field, e.Field)
		}
	}
}

// A proxy that lets all routes through gives its users nothing but what is theirs to read. Programs beside the hub, which
// have no header, do what they did.
func TestUsersOfAProxyMayOnlyRead(t *testing.T) {
	s := startServe(t, "--memory", "--user-header", "X-Spate-User")
	const event = `{"uids":["u1"],"events":[{"topic":"a","data":"x"}]}`
	for _, user := range []string{"u1", ""} {
		for _, c := range []struct {
			method, path, body string
			status             int
		}{
			{"POST", "/push", event, 403}, {"POST", "/push", `{"events":[{"data":"x"}]}`, 403}, {"POST", "/drain", "", 403},
			{"GET", "/stats", "", 403}, {"GET", "/metrics", "", 403}, {"GET", "/settings", "", 403}, {"GET", "/topics", "", 403}, {"GET", "/", "", 200}, {"GET", "/users", "", 403},
			{"GET", "/connections", "", 403}, {"DELETE", "/users/u2", "", 403}, {"GET", "/users/u2", "", 403},
			{"GET", "/history?topic=a", "", 200}, {"HEAD", "/events?topic=a", "", 200},
		} {
			status, text := s.do(c.method, c.path, c.body, "Content-Type", asJSON, "X-Spate-User", user)
			require.Equal(t, c.status, status, "%s %s as %q: %s", c.method, c.path, user, text)
		}
	}
	status, text := s.do("POST", "/push", event, "Content-Type", asJSON)
	require.Equal(t, 200, status, text)
	for user, sees := range map[string]bool{"u1": true, "u2": false, "": false} {
		_, text = s.do("GET", "/history?topic=a", "", "X-Spate-User", user)
		require.Equal(t, sees, strings.Contains(text, `"data":"x"`), text)
	}
	status, _ = s.get("/stats")
	require.Equal(t, 200, status)
}
