package main

import (
	"encoding/json"
	"net"
	"net/http"

	"github.com/spatehub/spate/serve"
)

// guard keeps web pages of other sites away from a hub that has no authorization: any page in a browser of this machine
// can reach a loopback address.
//
//   - A Host that is no loopback name is refused: a name that somebody else's DNS points here (rebinding) would make
//     the hub the same origin as that page, and everything readable by it.
//   - A request that changes something must come from the hub's own page or from no page at all (Origin,
//     Sec-Fetch-Site).
//   - A stream may not be opened from another site: the page could not read it, but it would hold a connection.
func guard(next http.Handler) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLoopback(hostname(r.Host)) {
			refuse(w, http.StatusMisdirectedRequest, "host", "the hub answers to localhost and loopback addresses alone")
			return
		}
		if err := crossOrigin.Check(r); err != nil {
			refuse(w, http.StatusForbidden, "origin", "a page of another site may not push")
			return
		}
		if r.URL.Path == "/events" && r.Header.Get("Sec-Fetch-Site") == "cross-site" {
			refuse(w, http.StatusForbidden, "origin", "a page of another site may not open a stream")
			return
		}
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
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
	serve.WriteError(w, &serve.Error{Status: status, Field: field, Message: message})
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
