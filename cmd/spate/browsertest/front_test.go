package browsertest_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// startFront puts a server in front of the hub that answers what routes has, by path, and asks the hub for the rest. It
// returns the front's base URL. A route that ends without an answer leaves the request to the hub.
func startFront(t *testing.T, h *hub, routes map[string]func(w http.ResponseWriter, r *http.Request, hub http.Handler)) string {
	t.Helper()
	proxy := proxyTo(t, h)
	return serveFront(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route := routes[r.URL.Path]
		if route == nil {
			route = routes[""] // of all others
		}
		if route != nil {
			route(w, r, proxy)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
}

// proxyTo asks the hub.
func proxyTo(t *testing.T, h *hub) http.Handler {
	t.Helper()
	target, err := url.Parse(h.base)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.FlushInterval = -1
	proxy.Transport = &http.Transport{MaxIdleConnsPerHost: -1}
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	return proxy
}

func serveFront(t *testing.T, handler http.Handler) string {
	t.Helper()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Origin") // the hub would take the front's page for another site's
		r.Header.Del("Sec-Fetch-Site")
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
	})
	return front.URL
}

// stream begins an event stream and returns what writes to it, at once.
func stream(w http.ResponseWriter) func(text string) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	control := http.NewResponseController(w)
	write := func(text string) {
		_, _ = w.Write([]byte(text))
		_ = control.Flush()
	}
	write("")
	return write
}

// TestTwoHubsBehindOneProxy: the page works wherever a proxy puts it, and those of two hubs at one address have nothing to do
// with each other, although they are the same files.
func TestTwoHubsBehindOneProxy(t *testing.T) {
	for mode, script := range map[string]string{"shared": "", "leader": withoutShared} {
		t.Run(mode, func(t *testing.T) {
			inBrowsers(t, func(t *testing.T, open func() tab) {
				mux := http.NewServeMux()
				hubs := map[string]*hub{"/one/": startPlain(t), "/deep/two/": startPlain(t)}
				for path, h := range hubs {
					mux.Handle(path, http.StripPrefix(strings.TrimSuffix(path, "/"), proxyTo(t, h)))
				}
				base := serveFront(t, mux)
				pages := map[string]tab{}
				for path, h := range hubs {
					page := open()
					if script != "" {
						page.beforeScripts(t, script)
					}
					page.navigate(t, base+path)
					await(t, page, shown("overview")+` && `+live+` && `+figure("clients")+` === "1"`)
					require.Equal(t, mode, get[string](t, page, "spate.link.mode"))
					require.Equal(t, 1, clients(t, h), path)
					pages[path] = page
				}
				for path, page := range pages {
					show(t, page, "push")
					require.Contains(t, get[string](t, page, `document.querySelector("#curl").textContent`), base+path+"push")
					pushIn(t, page, "for "+path)
				}
				for path, page := range pages {
					show(t, page, "history")
					await(t, page, rows("history", "data")+`.join() === "for `+path+`"`)
					show(t, page, "topics")
					show(t, page, "connections")
					await(t, page, rows("connections", "uid")+`.length === 1`)
					show(t, page, "settings")
					await(t, page, rows("settings", "name")+`.length > 50`)
					require.Equal(t, 1, get[int](t, page, "spate.events"), "of the other hub")
				}
			})
		})
	}
}
