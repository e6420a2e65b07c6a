package cors

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spatehub/spate/serve/stream"
)

// Policy says what pages of other origins may do.
type Policy struct {
	// Origins are those whose pages may use the hub.
	Origins Origins

	// Credentials lets these pages send cookies and client certificates. Not
	// together with an origin "*".
	Credentials bool

	// MaxAge is how long browsers may remember a preflight's answer; 0 is ten
	// minutes. They have bounds of their own.
	MaxAge time.Duration
}

// What pages may ask for. Browsers take the rest without asking.
const (
	allowMethods  = "GET, HEAD, POST, DELETE"
	allowHeaders  = "Authorization, Cache-Control, Content-Type, Idempotency-Key, Last-Event-ID"
	exposeHeaders = "Idempotency-Replayed, Retry-After, WWW-Authenticate"
)

const defaultMaxAge = 10 * time.Minute

// Handler answers preflights and tells browsers whose pages may read the answers
// of next. A request of a page whose origin is neither the server's own nor in the
// list is refused with 403, so that it costs nothing further.
//
// The error says that credentials are allowed to everybody.
func Handler(p Policy, next http.Handler) (http.Handler, error) {
	c, err := NewChecker(p)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.Check(w, r) {
			next.ServeHTTP(w, r)
		}
	}), nil
}

// Checker is what [Handler] does before it calls the next handler, for one of your
// own. It does not change and may be used by many goroutines at once.
type Checker struct {
	p       Policy
	seconds string
}

// NewChecker returns the checker of a policy. The error is that of [Handler].
func NewChecker(p Policy) (*Checker, error) {
	if p.Credentials && p.Origins.Any() {
		return nil, errors.New(`credentials can't be allowed to the origin "*": list the origins`)
	}
	if p.MaxAge <= 0 {
		p.MaxAge = defaultMaxAge
	}
	return &Checker{p, strconv.FormatInt(int64(p.MaxAge/time.Second), 10)}, nil
}

// Check sets the headers that tell browsers whose pages may read the answer, and
// reports whether the request goes on; if not, it has been answered.
func (c *Checker) Check(w http.ResponseWriter, r *http.Request) bool {
	h := w.Header()
	if !c.p.open() { // else the answer is the same for every origin
		h.Add("Vary", "Origin")
	}
	h.Set("Cross-Origin-Resource-Policy", "same-origin") // of what is fetched without CORS
	origins := r.Header["Origin"]
	if len(origins) == 0 {
		return true
	}
	origin := origins[0]
	if len(origins) > 1 || !c.p.Origins.Allows(origin) {
		if len(origins) == 1 && SameOrigin(r) {
			return true
		}
		stream.WriteError(w, &stream.Error{Status: http.StatusForbidden, Field: "Origin", Message: "pages of this origin may not use the hub"})
		return false
	}
	c.p.allow(h, origin)
	if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
		h.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
		h.Set("Access-Control-Allow-Methods", allowMethods)
		h.Set("Access-Control-Allow-Headers", allowHeaders)
		h.Set("Access-Control-Max-Age", c.seconds)
		w.WriteHeader(http.StatusNoContent)
		return false
	}
	h.Set("Access-Control-Expose-Headers", exposeHeaders)
	return true
}

// open reports whether every origin gets the same answer.
func (p *Policy) open() bool { return p.Origins.Any() && !p.Credentials }

func (p *Policy) allow(h http.Header, origin string) {
	if p.open() {
		h.Set("Access-Control-Allow-Origin", "*")
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	if p.Credentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
}

// SameOrigin reports whether a browser says that the request comes from a page of
// the server's own origin. Where it sends no Sec-Fetch-Site, the Origin's host is
// compared with the request's Host.
func SameOrigin(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	_, host, ok := strings.Cut(r.Header.Get("Origin"), "://")
	return ok && host != "" && strings.EqualFold(host, r.Host)
}
