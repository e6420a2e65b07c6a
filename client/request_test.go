package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/client"
)

// Any method and body, again at each attempt, with headers that are fresh.
func TestMethodBodyAndFreshHeaders(t *testing.T) {
	for name, tc := range map[string]struct {
		opts   []client.Option
		method string
		length int64
	}{
		"a body makes it a POST": {[]client.Option{client.WithBody("application/json", []byte(`{"q":1}`))}, "POST", 7},
		"REPORT":                 {[]client.Option{client.WithMethod("REPORT"), client.WithBody("application/json", []byte(`{"q":1}`))}, "REPORT", 7},
		"a body by function": {[]client.Option{client.WithBodyFunc("application/json", func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(`{"q":1}`)), nil
		})}, "POST", -1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var bodies, methods []string
				var lengths []int64
				note := func(then http.HandlerFunc) http.HandlerFunc {
					return func(w http.ResponseWriter, r *http.Request) {
						text, _ := io.ReadAll(r.Body)
						bodies, methods, lengths = append(bodies, string(text)), append(methods, r.Method), append(lengths, r.ContentLength)
						then(w, r)
					}
				}
				srv := newServer(t, note(stream("id: 1\ndata: x\n\n")), note(status(503)), note(streamAndStay("")))
				n := 0
				fresh := client.WithHeaderFunc(func(_ context.Context, h http.Header) error {
					n++
					h.Set("Authorization", fmt.Sprint("Bearer ", n))
					return nil
				})
				c := srv.newClient(t, append(tc.opts, fresh)...)
				require.NoError(t, c.Connect())
				elapse(time.Hour)
				require.Equal(t, []string{`{"q":1}`, `{"q":1}`, `{"q":1}`}, bodies)
				require.Equal(t, []string{tc.method, tc.method, tc.method}, methods)
				require.Equal(t, []int64{tc.length, tc.length, tc.length}, lengths, "many servers refuse a body in chunks")
				for i, r := range srv.got() {
					require.Equal(t, fmt.Sprint("Bearer ", i+1), r.header.Get("Authorization"))
					require.Equal(t, "application/json", r.header.Get("Content-Type"))
				}
			})
		})
	}
}

// What a token or body costs to get can fail for a time: that is the attempt's
// error, and another follows.
func TestHeaderFuncFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, stream("data: x\n\n"), streamAndStay(""))
		errToken := errors.New("no token now")
		n := 0
		c := srv.newClient(t, client.WithHeaderFunc(func(context.Context, http.Header) error {
			if n++; n == 2 {
				return errToken
			}
			return nil
		}))
		var lost []error
		c.OnError(func(err error) { lost = append(lost, err) })
		require.NoError(t, c.Connect())
		elapse(time.Hour)
		require.Len(t, srv.got(), 2)
		require.Len(t, lost, 2)
		require.ErrorIs(t, lost[1], errToken)
	})
}

// User and password of the URL are sent, and shown nowhere.
func TestUserOfTheURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, status(401))
		c := client.NewClient("http://me:secret@hub.test/", client.WithHTTPClient(srv.client))
		err := c.Connect()
		wantStatus(t, 401, err)
		require.NotContains(t, err.Error(), "secret")
		require.Equal(t, "Basic bWU6c2VjcmV0", srv.got()[0].header.Get("Authorization"))
		c.Disconnect()
	})
}

// The server's own message is in the error, whatever its form.
func TestStatusErrorHasTheServersMessage(t *testing.T) {
	for body, tc := range map[string]struct{ kind, want string }{
		`{"error":"is no ID","field":"last_event_id"}`:    {"application/json; charset=utf-8", "last_event_id: is no ID"},
		`{"title":"Out of credit","detail":"30 missing"}`: {"application/problem+json", "Out of credit: 30 missing"},
		"go away\n":                        {"text/plain", "go away"},
		"<h1>no</h1>":                      {"text/html", ""},
		"":                                 {"text/plain", ""},
		"a" + strings.Repeat("x", 100_000): {"text/plain", "a" + strings.Repeat("x", 508) + "…"},
	} {
		synctest.Test(t, func(t *testing.T) {
			refuse := func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", tc.kind)
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, body)
			}
			err := wantStatus(t, 400, newServer(t, refuse).newClient(t).Connect())
			require.Equal(t, tc.want, err.Message)
			require.Equal(t, body[:min(len(body), 8<<10)], string(err.Body))
			require.Equal(t, tc.kind, err.Header.Get("Content-Type"))
			if tc.want != "" {
				require.ErrorContains(t, err, "400 Bad Request: "+tc.want)
			}
		})
	}
}

// An error whose body never ends is told all the same.
func TestStatusErrorOfABodyWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "because")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
		begin := time.Now()
		err := wantStatus(t, 403, newServer(t, hang).newClient(t).Connect())
		require.Equal(t, "because", err.Message)
		require.Equal(t, 5*time.Second, time.Since(begin))
	})
}

// Types that browsers take for event streams, and ones that they do not.
func TestContentTypes(t *testing.T) {
	for value, ok := range map[string]bool{
		"text/event-stream": true, "TEXT/EVENT-STREAM": true,
		"text/event-stream;charset=utf-8;charset=UTF-8": true,
		"text/event-stream, text/event-stream":          true, "text/html, text/event-stream": true,
		"text/event-stream, text/html": false, "text/event-stream x": false, "application/json": false,
	} {
		synctest.Test(t, func(t *testing.T) {
			srv := newServer(t, status(200, "Content-Type", value))
			err := srv.newClient(t).Connect()
			if ok {
				require.NoError(t, err, value)
			} else {
				require.ErrorIs(t, err, client.ErrContentType, value)
			}
		})
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.sock")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		write(w, "data: "+r.Host+r.URL.Path+"\n\n")
	})}
	go func() { _ = srv.Serve(l) }()
	defer srv.Close()
	for e, err := range client.NewClient("http://any.host/events", client.WithUnixSocket(path)).Events(t.Context()) {
		require.NoError(t, err)
		require.Equal(t, "any.host/events", e.Data)
		break
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://other/", nil)
	require.NoError(t, err)
	n := 0
	for e, err := range client.Do(t.Context(), req, client.WithUnixSocket(path)) {
		require.NoError(t, err)
		require.Equal(t, "other/", e.Data)
		n++
	}
	require.Equal(t, 1, n)
}
