package stream

import (
	"net"
	"net/http"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// Handler serves the hub's events to GET requests. identify says who the client
// is and which topics it follows; its errors are answered as [Error] says. A nil
// identify takes everyone as anonymous, a nil hub panics. HEAD gets the head alone.
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

// start is what is decided of a stream before its head.
type start struct {
	seat  *engine.Seat
	limit limit
	k     coding
}

// decide is enter but for the stream itself: it answers the request, and begun is
// nil, where there is none to begin; head says that all is well and only the head was
// asked for. What it needs of the stack, which is much, is given back before the head
// is written, which needs much too: a new connection's goroutine begins with a small
// stack, and each time that it grows costs a microsecond or two.
func (c *config) decide(w http.ResponseWriter, r *http.Request, hub *engine.Hub, in entry) (begun *start, head bool) {
	if refuseMethod(w, r, "GET, HEAD", http.MethodGet, http.MethodHead) {
		return nil, false
	}
	if c.gate != nil {
		if err := c.gate.Knock(r); err != nil {
			c.refuse(w, r, identityError(err))
			return nil, false
		}
	}
	since := c.sessions.now()
	a, refusal := in(r)
	var s *session
	if refusal == nil {
		s, refusal = c.session(r, &a.grant, since)
	}
	if refusal != nil {
		c.refuse(w, r, refusal)
		return nil, false
	}
	return c.place(w, r, hub, &a, s)
}

// place is decide for who has been let in. It sees to it that the session, where there
// is one, ends where the stream does not begin, also where the embedder's code panics.
func (c *config) place(w http.ResponseWriter, r *http.Request, hub *engine.Hub, a *admitted, s *session) (begun *start, head bool) {
	defer func() {
		if begun == nil {
			limit{session: s}.release()
		}
	}()
	made := &start{limit: c.limitOfGrant(r, s, a.grant.Expires)}
	refusal := c.seat(w, r, hub, a, made)
	switch {
	case refusal != nil:
		c.refuse(w, r, refusal)
		return nil, false
	case r.Method == http.MethodHead:
		c.setHead(w.Header(), made.k)
		w.WriteHeader(http.StatusOK)
		return nil, true
	case !canFlush(w):
		writeError(w, &Error{Status: http.StatusInternalServerError, Message: "the response can't be streamed: its writer does not flush"})
		return nil, false
	}
	return made, false
}

// seat takes the seat that a request asks for, and chooses the coding.
func (c *config) seat(w http.ResponseWriter, r *http.Request, hub *engine.Hub, a *admitted, begun *start) *Error {
	wishes, refusal := wishesOf(r, a.query)
	if refusal != nil {
		return refusal
	}
	if refusal = passBody(w, r); refusal != nil {
		return refusal
	}
	sub, refusal := c.subscription(wishes, a.grant.User, a.topics)
	if refusal != nil {
		return refusal
	}
	sub.Source = c.source(r)
	sub.Patient = sub.Patient || c.patient != nil && c.patient(r)
	if begun.k, refusal = c.codingFor(w.Header(), r, hub); refusal != nil {
		return refusal
	}
	sub.Encoding = begun.k.name()
	begun.seat, refusal = c.admit(r, hub, wishes, sub)
	return refusal
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

// begin sends the head and streams, over the socket itself where it can. Where that is
// likely the greeting goes with the head, in one write for both.
func (c *config) begin(w http.ResponseWriter, r *http.Request, hub *engine.Hub, begun *start) {
	handed := false // to what sees to the end of the limit
	defer func() {
		if !handed { // the peer is gone, or a wrapper of the writer panics
			begun.limit.release()
		}
	}()
	rc := http.NewResponseController(w)
	takesOver := c.takesOver(w, r)
	var greeted []byte
	if takesOver && begun.k.by == nil {
		greeted = c.greeting(begun.k)
	}
	if c.sendHead(w, rc, r, begun.k, greeted) != nil {
		return
	}
	k := begun.k.sent(w.Header())
	begun.seat.UseEncoding(k.name())
	var next []byte
	if greeted == nil {
		next = c.greeting(k)
	}
	if takesOver && k.alone(w.Header()) && passedOn(w, len(greeted)) {
		if conn, err := hijack(w, rc); err == nil {
			handed = true
			c.serveConn(conn, next, r, hub, begun.seat, begun.limit)
			return
		}
	}
	_ = rc.SetWriteDeadline(time.Time{})
	handed = true
	c.pump(r, responseOutput{w: w, rc: rc}, next, hub, begun.seat, begun.limit)
}

// hijack takes the connection from the server. A wrapper may refuse that once it has
// seen some of the body, as Gin's does; the server's own writer does not, and nothing
// is held back on the way to it.
func hijack(w http.ResponseWriter, rc *http.ResponseController) (net.Conn, error) {
	conn, _, err := rc.Hijack()
	if err == nil {
		return conn, nil
	}
	if own, ok := innermost(w).(http.Hijacker); ok {
		conn, _, err = own.Hijack()
	}
	return conn, err
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
