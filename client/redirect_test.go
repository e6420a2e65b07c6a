package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/client"
)

// hop is a request as a server of redirects has seen it.
type hop struct {
	method, host, path, body string
	header                   http.Header
}

// maze answers each path of any host by its table; a path that is not there is an
// event stream.
func maze(t *testing.T, table map[string]http.HandlerFunc) (*server, func() []hop) {
	t.Helper()
	var mu sync.Mutex
	var hops []hop
	get := func() []hop {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(hops)
	}
	return newServer(t, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		mu.Lock()
		hops = append(hops, hop{r.Method, r.Host, r.URL.Path, string(text), r.Header})
		mu.Unlock()
		if turn := table[r.URL.Path]; turn != nil {
			turn(w, r)
			return
		}
		stream("id: 1\ndata: x\n\n")(w, r)
	}), get
}

func to(code int, location string) http.HandlerFunc { return status(code, "Location", location) }

func paths(hops []hop) (got []string) {
	for _, h := range hops {
		got = append(got, h.path)
	}
	return got
}

// Permanent redirects are remembered, as far as all on the way are permanent; the
// others are asked for again each time.
func TestRedirectsAreRemembered(t *testing.T) {
	for name, tc := range map[string]struct {
		table map[string]http.HandlerFunc
		want  []string // paths of two connections
	}{
		"301":           {map[string]http.HandlerFunc{"/": to(301, "/a")}, []string{"/", "/a", "/a"}},
		"308":           {map[string]http.HandlerFunc{"/": to(308, "http://hub.test/a")}, []string{"/", "/a", "/a"}},
		"302":           {map[string]http.HandlerFunc{"/": to(302, "/a")}, []string{"/", "/a", "/", "/a"}},
		"303":           {map[string]http.HandlerFunc{"/": to(303, "/a")}, []string{"/", "/a", "/", "/a"}},
		"307":           {map[string]http.HandlerFunc{"/": to(307, "/a")}, []string{"/", "/a", "/", "/a"}},
		"308, then 307": {map[string]http.HandlerFunc{"/": to(308, "/a"), "/a": to(307, "/b")}, []string{"/", "/a", "/b", "/a", "/b"}},
		"307, then 308": {map[string]http.HandlerFunc{"/": to(307, "/a"), "/a": to(308, "/b")}, []string{"/", "/a", "/b", "/", "/a", "/b"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, hops := maze(t, tc.table)
				srv.url = "http://hub.test/"
				c := srv.newClient(t)
				n := 0
				for _, err := range c.Events(t.Context()) {
					require.NoError(t, err)
					if n++; n == 2 {
						break
					}
				}
				require.Equal(t, tc.want, paths(hops()))
			})
		})
	}
}

// Where a remembered redirect leads to nothing any more, the way begins anew: at once
// after a refusal, at the next attempt after what may pass.
func TestRememberedRedirectThatGoesWrong(t *testing.T) {
	for name, gone := range map[string]http.HandlerFunc{
		"refused": status(410), "overloaded": status(503),
		"broken": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				table := map[string]http.HandlerFunc{"/": to(301, "/old")}
				srv, hops := maze(t, table)
				srv.url = "http://hub.test/"
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				n := 0
				for _, err := range srv.newClient(t).Events(ctx) {
					require.NoError(t, err)
					if n++; n == 2 {
						break
					}
					table["/"], table["/old"] = to(301, "/new"), gone
				}
				// Compact, as net/http itself asks again where a connection broke.
				require.Equal(t, []string{"/", "/old", "/", "/new"}, slices.Compact(paths(hops())))
			})
		})
	}
}

// Method and body go along as Fetch and RFC 9110 say.
func TestRedirectsOfAPost(t *testing.T) {
	for code, method := range map[int]string{301: "GET", 302: "GET", 303: "GET", 307: "POST", 308: "POST"} {
		synctest.Test(t, func(t *testing.T) {
			srv, hops := maze(t, map[string]http.HandlerFunc{"/": to(code, "/a")})
			srv.url = "http://hub.test/"
			require.NoError(t, srv.newClient(t, client.WithBody("text/plain", []byte("hi"))).Connect())
			got := hops()[1]
			require.Equal(t, method, got.method, code)
			require.Equal(t, method == "POST", got.body == "hi", code)
			require.Equal(t, method == "POST", got.header.Get("Content-Type") == "text/plain", code)
			elapse(time.Minute)
			require.Equal(t, code == 308, hops()[2].path == "/a", "%d: what became a GET is not remembered for a POST", code)
			require.Equal(t, "POST", hops()[2].method)
		})
	}
}

// What was set for one host reaches no other: not on the way, not on the way back,
// and not after it was remembered.
func TestCredentialsStayWithTheirHost(t *testing.T) {
	for target, kept := range map[string]bool{
		"http://hub.test/a": true, "/a": true, "http://HUB.test:80/a": true, "https://hub.test/a": true,
		"http://hub.test:81/a": false, "http://evil.test/a": false, "http://sub.hub.test/a": false, "http://hub.test.evil/a": false,
		"https://hub.test:80/a": false,
	} {
		for _, code := range []int{302, 308} {
			t.Run(fmt.Sprint(code, " ", target), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					srv, hops := maze(t, map[string]http.HandlerFunc{"/": to(code, target)})
					srv.overTLS()
					srv.url = "http://hub.test/"
					c := srv.newClient(t, client.WithHeaders(map[string]string{
						"Authorization": "Bearer x", "Cookie": "a=b", "X-Api-Key": "x", "Accept-Language": "de"}),
						client.WithHeaderFunc(func(_ context.Context, h http.Header) error {
							h["x-token"] = []string{"x"} // spelled as it must not be, and sent all the same
							return nil
						}))
					n := 0
					for _, err := range c.Events(t.Context()) {
						require.NoError(t, err)
						if n++; n == 2 {
							break
						}
					}
					for _, h := range hops() {
						for _, name := range []string{"Authorization", "Cookie", "X-Api-Key", "X-Token"} {
							require.Equal(t, kept || h.path == "/", h.header.Get(name) != "", "%s at %s%s", name, h.host, h.path)
						}
						require.Equal(t, "de", h.header.Get("Accept-Language"))
						require.Equal(t, "text/event-stream", h.header.Get("Accept"))
					}
				})
			})
		}
	}
	synctest.Test(t, func(t *testing.T) { // there and back
		srv, hops := maze(t, map[string]http.HandlerFunc{"/": to(307, "http://evil.test/b"), "/b": to(307, "http://hub.test/c")})
		srv.url = "http://hub.test/"
		require.NoError(t, srv.newClient(t, client.WithHeaders(map[string]string{"Authorization": "Bearer x", "Host": "hub.test"})).Connect())
		require.Equal(t, []string{"/", "/b", "/c"}, paths(hops()))
		require.Equal(t, "evil.test", hops()[1].host)
		require.Empty(t, hops()[2].header.Get("Authorization"))
	})
}

// Redirects that lead nowhere are errors, not loops.
func TestRedirectsThatLeadNowhere(t *testing.T) {
	for location, want := range map[string]string{
		"":                "301 Moved Permanently",
		"/":               "redirects more than 10 times",
		"ftp://hub.test/": `scheme "ftp"`,
		"http://":         `scheme "http"`,
		"http://[::1/":    "Location",
	} {
		synctest.Test(t, func(t *testing.T) {
			srv, hops := maze(t, map[string]http.HandlerFunc{"/": to(301, location)})
			srv.url = "http://hub.test/"
			err := srv.newClient(t).Connect()
			require.ErrorContains(t, err, want)
			require.LessOrEqual(t, len(hops()), 11)
		})
	}
}

// A redirect whose body never comes is followed all the same.
func TestRedirectOfABodyWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, hops := maze(t, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			status(307, "Location", "/a")(w, r)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}})
		srv.url = "http://hub.test/"
		begin := time.Now()
		require.NoError(t, srv.newClient(t).Connect())
		require.Equal(t, 5*time.Second, time.Since(begin))
		require.Equal(t, []string{"/", "/a"}, paths(hops()))
	})
}

// The policy of one's own http.Client is asked.
func TestRedirectPolicy(t *testing.T) {
	errNo := errors.New("not there")
	for name, answer := range map[string]error{"error": errNo, "last response": http.ErrUseLastResponse, "allowed": nil} {
		synctest.Test(t, func(t *testing.T) {
			srv, hops := maze(t, map[string]http.HandlerFunc{"/": to(307, "/a")})
			srv.url = "http://hub.test/"
			srv.client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
				require.Equal(t, "/a", req.URL.Path)
				require.Len(t, via, 1)
				return answer
			}
			err := srv.newClient(t).Connect()
			switch answer {
			case errNo:
				require.ErrorIs(t, err, errNo, name)
			case nil:
				require.NoError(t, err)
				require.Equal(t, []string{"/", "/a"}, paths(hops())[:2])
			default:
				wantStatus(t, 307, err)
			}
		})
	}
}

// A jar's cookies go to the host that set them, and are not doubled on the way.
func TestRedirectWithCookies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, hops := maze(t, map[string]http.HandlerFunc{
			"/":  status(307, "Location", "/a", "Set-Cookie", "k=v; Path=/"),
			"/a": to(307, "/b"), "/b": to(307, "http://other.test/c")})
		srv.url = "http://hub.test/"
		srv.client.Jar = newJar(t)
		require.NoError(t, srv.newClient(t).Connect())
		elapse(time.Minute)
		require.Equal(t, "", hops()[0].header.Get("Cookie"))
		require.Equal(t, "k=v", hops()[1].header.Get("Cookie"))
		require.Equal(t, "k=v", hops()[2].header.Get("Cookie"))
		require.Equal(t, "", hops()[3].header.Get("Cookie"))
	})
}
