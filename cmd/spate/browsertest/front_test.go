package browsertest_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// startFront puts a server in front of the hub that answers what routes has, by path, and asks the hub for the rest. It
// returns the front's base URL. A route that ends without an answer leaves the request to the hub.
func startFront(t *testing.T, h *hub, routes map[string]func(w http.ResponseWriter, r *http.Request, hub http.Handler)) string {
	t.Helper()
	target, err := url.Parse(h.base)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.FlushInterval = -1
	transport := &http.Transport{MaxIdleConnsPerHost: -1}
	proxy.Transport = transport
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Origin") // the hub would take the front's page for another site's
		r.Header.Del("Sec-Fetch-Site")
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
