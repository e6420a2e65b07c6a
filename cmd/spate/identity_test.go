package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/serve"
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
				continue
			}
			var e *serve.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, c.field, e.Field)
		}
	}
}
