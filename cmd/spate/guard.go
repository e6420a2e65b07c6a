package main

import (
	"encoding/json"
	"net"
	"net/http"

	"github.com/spatehub/spate/serve/stream"
)

// guard stands before all routes and keeps web pages of other sites away: a browser sends what it has (certificates,
// passwords, cookies, and on this machine the bare reach of a loopback address) whoever's page asks.
//
//   - A connection ends with a request of HTTP/1.0 or with a body in chunks: it may have named a length besides, or chunks
//     that HTTP/1.0 does not have, which net/http does not tell. To a proxy that goes by the other one, the next request
//     would begin elsewhere (RFC 9112, 6.1).
//   - Where nothing asks who a caller is, on a loopback address, a Host that is no loopback name is refused: a name that
//     somebody else's DNS points here (rebinding) would make the hub the same origin as that page, and everything
//     readable by it.
//   - A page of another origin gets nothing unless its origin is listed.
//   - What browsers send for a page of another site without telling its origin, such as images, is refused too; links to
//     the hub's own pages are followed.
func guard(a *access, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) {
			w.Header().Set("Connection", "close")
		}
		if a.loopback && !isLoopback(hostname(r.Host)) {
			refuse(w, http.StatusMisdirectedRequest, "host", "the hub answers to localhost and loopback addresses alone")
			return
		}
		site := r.Header.Get("Sec-Fetch-Site")
		if r.Header.Get("Origin") == "" && (site == "cross-site" || site == "same-site") && !isLink(r) {
			refuse(w, http.StatusForbidden, "origin", "a page of another site may not use the hub")
			return
		}
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		if a.cors.Load().Check(w, r) {
			next.ServeHTTP(w, r)
		}
	})
}

// isLink reports whether a browser shows what it asks for as a page of its own. A stream is none.
func isLink(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.URL.Path != "/events"
}

// hostname is the host of a Host header, without port and brackets.
func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	if n := len(hostport); n > 1 && hostport[0] == '[' && hostport[n-1] == ']' {
		return hostport[1 : n-1]
	}
	return hostport
}

// refuse answers in the form of all errors.
func refuse(w http.ResponseWriter, status int, field, message string) {
	stream.WriteError(w, &stream.Error{Status: status, Field: field, Message: message})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(body) // the peer may be gone
}
