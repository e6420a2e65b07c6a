package stream

import (
	"net/http"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// Handler serves the hub's events to GET requests. identify says who the client
// is and which topics it follows; its errors are answered as [Error] says. A nil
// identify takes everyone as anonymous. HEAD gets the head alone.
//
// Where the socket can be taken over (plain HTTP/1 on Linux, and no wrapper
// around the connection) the handler returns at once, and the stream goes on
// without a goroutine; else it returns when the stream has ended. The server's
// time-outs do not cut a stream, and [http.Server.Shutdown] does not end it:
// register the hub's Close with RegisterOnShutdown, or close the hub first.
func Handler(hub *engine.Hub, identify func(*http.Request) (uid string, topics []string, err error), opts ...Option) http.Handler {
	return newConfig(opts).handler(hub, identified(identify))
}

// Serve is [Handler] for a router of one's own: it answers one request, a GET or
// HEAD, on behalf of user uid, "" for an anonymous client, and reports whether it
// became a stream; if not, it has been refused.
func Serve(w http.ResponseWriter, r *http.Request, hub *engine.Hub, uid string, opts ...Option) bool {
	return newConfig(opts).enter(w, r, hub, identified(func(*http.Request) (string, []string, error) { return uid, nil, nil }))
}

// serve is enter for who has been let in. It sees to it that the session, where
// there is one, ends with the stream.
func (c *config) serve(w http.ResponseWriter, r *http.Request, hub *engine.Hub, a *admitted, s *session) bool {
	limit := c.limitOfGrant(r, s, a.grant.Expires)
	wishes, refusal := wishesOf(r, a.query)
	if refusal == nil {
		refusal = passBody(w, r)
	}
	var sub engine.Subscription
	if refusal == nil {
		sub, refusal = c.subscription(wishes, a.grant.User, a.topics)
		sub.Source = c.source(r)
	}
	var k coding
	if refusal == nil {
		k, refusal = c.codingFor(w.Header(), r, hub)
		sub.Encoding = k.name()
	}
	var seat *engine.Seat
	if refusal == nil {
		seat, refusal = c.admit(r, hub, wishes, sub)
	}
	if refusal != nil {
		limit.release()
		c.refuse(w, r, refusal)
		return false
	}
	if r.Method == http.MethodHead {
		limit.release()
		c.setHead(w.Header(), k)
		w.WriteHeader(http.StatusOK)
		return true
	}
	if !canFlush(w) {
		limit.release()
		writeError(w, &Error{Status: http.StatusInternalServerError, Message: "the response can't be streamed: its writer does not flush"})
		return false
	}
	c.begin(w, r, hub, seat, limit, k)
	return true
}

// refuse answers with e. Where it may become true later, and WithLater is set, the
// answer is a stream that ends at once.
func (c *config) refuse(w http.ResponseWriter, r *http.Request, e *Error) {
	if e.Status != http.StatusServiceUnavailable || c.later <= 0 {
		writeError(w, e)
		return
	}
	c.setHead(w.Header(), coding{})
	if e.hangUp {
		w.Header().Set("Connection", "close")
	}
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(wire.AppendRetry(wire.AppendComment(nil, e.Message), c.later)) // the peer is gone: nobody to tell
}

// begin sends the head and streams, over the socket itself where it can.
func (c *config) begin(w http.ResponseWriter, r *http.Request, hub *engine.Hub, seat *engine.Seat, limit limit, k coding) {
	rc := http.NewResponseController(w)
	if c.sendHead(w, rc, r, k) != nil {
		limit.release()
		return // the peer is gone
	}
	k = k.sent(w.Header())
	seat.UseEncoding(k.name())
	if c.takesOver(w, r, k) {
		if conn, _, err := rc.Hijack(); err == nil {
			c.serveConn(conn, r, hub, seat, limit, k)
			return
		}
	}
	c.serveResponse(w, rc, r, hub, seat, limit, k)
}

// innermost follows Unwrap to the server's own ResponseWriter. Wrappers tend to
// have every optional method, whether what they wrap has it or not.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		inner := u.Unwrap()
		if inner == nil {
			return w
		}
		w = inner
	}
}
