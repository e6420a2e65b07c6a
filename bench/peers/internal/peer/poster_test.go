//go:build linux

package peer

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/stamp"
)

// TestPoster: every event arrives once, those of one user in order; events for different users share a request only where
// that is allowed; an answer that is an error is told.
func TestPoster(t *testing.T) {
	for _, mixed := range []bool{false, true} {
		t.Run(fmt.Sprintf("mixed=%v", mixed), func(t *testing.T) {
			var mu sync.Mutex
			got := map[string][]string{}
			requests := 0
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				text, _ := io.ReadAll(r.Body)
				mu.Lock()
				defer mu.Unlock()
				requests++
				users := map[string]bool{}
				for _, line := range strings.Fields(string(text)) {
					user, data, _ := strings.Cut(line, "=")
					users[user] = true
					got[user] = append(got[user], data)
				}
				if !mixed && len(users) > 1 {
					w.WriteHeader(http.StatusBadRequest)
				}
				fmt.Fprintf(w, "answer to %s", text)
			}))
			defer srv.Close()
			p := newPoster(strings.TrimPrefix(srv.URL, "http://"), false, api{
				batch: 10, mixed: mixed, path: fixed("/push"),
				body: func(dst []byte, list []posted) []byte {
					for _, e := range list {
						dst = fmt.Appendf(dst, "%s=%s\n", channelOf(e.kind, e.index), e.data)
					}
					return dst
				},
			})
			const users, each = 40, 25
			for i := range each {
				for u := range uint32(users) {
					require.NoError(t, p.Publish(stamp.User, u, fmt.Append(nil, i)))
				}
			}
			require.Contains(t, string(p.answered()), "answer to u")
			require.Len(t, got, users)
			for user, list := range got {
				require.Len(t, list, each, user)
				for i, data := range list {
					require.Equal(t, fmt.Sprint(i), data, "order of %s", user)
				}
			}
			require.LessOrEqual(t, requests, users*each)
		})
	}
}

// TestPosterTellsFaults: of a status, and of what a good status still says; once each.
func TestPosterTellsFaults(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		fault  error
		text   string
	}{
		"status": {http.StatusTeapot, nil, "I'm a teapot"},
		"answer": {http.StatusOK, errors.New("says no"), "says no"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(c.status) }))
			defer srv.Close()
			p := newPoster(strings.TrimPrefix(srv.URL, "http://"), false, api{
				batch: 1, path: fixed("/"), body: func(dst []byte, _ []posted) []byte { return dst },
				fault: func([]byte) error { return c.fault },
			})
			require.NoError(t, p.Publish(stamp.Broadcast, 0, []byte("x")))
			p.Drain()
			require.ErrorContains(t, p.Publish(stamp.Broadcast, 0, []byte("y")), c.text)
		})
	}
}

// TestPosterAfterAPause: a connection that the server has ended meanwhile is made anew.
func TestPosterAfterAPause(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer srv.Close()
	p := newPoster(strings.TrimPrefix(srv.URL, "http://"), false, api{
		batch: 1, path: fixed("/"), body: func(dst []byte, _ []posted) []byte { return dst },
	})
	require.NoError(t, p.Publish(stamp.Broadcast, 0, []byte("x")))
	p.Drain()
	srv.CloseClientConnections()
	p.lanes[0].used = p.lanes[0].used.Add(-laneIdle) // as after a pause
	require.NoError(t, p.Publish(stamp.Broadcast, 0, []byte("y")))
	p.Drain()
	require.NoError(t, p.Publish(stamp.Broadcast, 0, []byte("z")), "what y was answered")
}

// TestBodies: what the servers' APIs get is what their documentation has.
func TestBodies(t *testing.T) {
	list := []posted{{stamp.User, 7, []byte("@x")}, {stamp.User, 7, []byte(`{"a":1}`)}}
	require.JSONEq(t, `{"uids":["u7"],"events":[{"event":"message","data":"@x"},{"event":"message","data":{"a":1}}]}`, string(hubBody(nil, list)))
	require.JSONEq(t, `{"commands":[{"publish":{"channel":"u7","data":"@x"}},{"publish":{"channel":"u7","data":{"a":1}}}]}`, string(centrifugoBody(nil, list)))
	require.JSONEq(t, `{"events":[{"event":"message","topic":"t3","data":"@x"}]}`, string(hubBody(nil, []posted{{stamp.Topic, 3, []byte("@x")}})))
	require.Equal(t, `"recover":true,"offset":12,"epoch":"abc"`, centrifugoPosition([]byte(`{"replies":[{"publish":{"offset":11,"epoch":"abc"}},{"publish":{"offset":12,"epoch":"abc"}}]}`)))
	require.Error(t, centrifugoFault([]byte(`{"replies":[{"error":{"code":107,"message":"bad request"}}]}`)))
	require.NoError(t, centrifugoFault([]byte(`{"replies":[{"publish":{}}]}`)))
}
