package stream

import (
	"fmt"
	"net/http"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// What a client may ask for in the query of a stream that an authorizer lets in.
const (
	topicQuery = "topic" // a topic or pattern to follow; may be given many times
	userQuery  = "uid"   // who the client takes itself for: must be the grant's user
)

// Gate bounds what callers use. Package limit has one; the methods are called by
// many goroutines at once. An error that is an [*Error] chooses the answer.
type Gate interface {
	// Knock is asked first for each request to stream or push, before its
	// credentials are looked at.
	Knock(r *http.Request) error

	// Enter is asked for a stream that is authorized. leave is called once, when
	// the stream has ended or did not begin; it must not block.
	Enter(r *http.Request, g *Grant) (leave func(), err error)

	// Push is asked for a push that is authorized, with its number of events and
	// the bytes of its body.
	Push(r *http.Request, g *Grant, events, bytes int) error
}

// WithGate has a gate bound the streams of [Authorized] and [ServeGrant].
func WithGate(g Gate) Option { return func(c *config) { c.gate = g } }

// WithSessions enters the streams of [Authorized] and [ServeGrant] into s, where
// their grants can be revoked.
func WithSessions(s *Sessions) Option { return func(c *config) { c.sessions = s } }

// Authorized is [Handler] for callers with grants: authorize says who the client
// is and what it may read, and the query says which topics and patterns it wants
// ("topic", any number of times). What it wants beyond its grant is answered by
// 403, as is a "uid" in the query that is not the grant's user; nothing is
// silently left out. The topics of [WithTopics] are for everybody who is let in.
// The stream ends, with a disconnect event, when the grant expires or is revoked.
func Authorized(hub *engine.Hub, authorize Authorizer, opts ...Option) http.Handler {
	c := newConfig(opts)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuseMethod(w, r, "GET, HEAD", http.MethodGet, http.MethodHead) {
			return
		}
		c.authorized(w, r, hub, authorize)
	})
}

// ServeGrant is [Authorized] for a router of one's own that has seen to the
// credentials. It reports whether the request became a stream. What is revoked
// between the two is not seen here.
func ServeGrant(w http.ResponseWriter, r *http.Request, hub *engine.Hub, g Grant, opts ...Option) bool {
	return !refuseMethod(w, r, "GET, HEAD", http.MethodGet, http.MethodHead) &&
		newConfig(opts).authorized(w, r, hub, func(*http.Request) (Grant, error) { return g, nil })
}

func (c *config) authorized(w http.ResponseWriter, r *http.Request, hub *engine.Hub, authorize Authorizer) bool {
	if c.gate != nil {
		if err := c.gate.Knock(r); err != nil {
			c.refuse(w, r, identityError(err))
			return false
		}
	}
	since := c.sessions.now()
	g, refusal := grantOf(r, authorize, c.gate)
	if refusal != nil {
		c.refuse(w, r, refusal)
		return false
	}
	topics, refusal := c.askedOf(r, &g)
	var s *session
	if refusal == nil {
		s, refusal = c.session(r, &g, since)
	}
	if refusal != nil {
		c.refuse(w, r, refusal)
		return false
	}
	return c.serve(w, r, hub, g.User, topics, s)
}

// grantOf authorizes a request. A grant with limits that nobody would hold is no
// good one: better nothing than more than was meant.
func grantOf(r *http.Request, authorize Authorizer, gate Gate) (Grant, *Error) {
	g, err := authorize(r)
	switch {
	case err != nil:
		return Grant{}, identityError(err)
	case g.ExpiredAt(time.Now()):
		return Grant{}, &Error{Status: http.StatusUnauthorized, Message: "the credentials have expired"}
	case gate == nil && g.Limits.needGate():
		return Grant{}, &Error{Status: http.StatusInternalServerError, Message: "the credentials have limits, and this handler has no gate that holds them"}
	}
	return g, nil
}

// askedOf returns the topics and patterns that the request asks for, all of which
// the grant allows.
func (c *config) askedOf(r *http.Request, g *Grant) ([]string, *Error) {
	if r.URL.RawQuery == "" {
		return nil, nil
	}
	query, refusal := parseQuery(r.URL.RawQuery)
	if refusal != nil {
		return nil, refusal
	}
	for _, uid := range query[userQuery] {
		if uid != g.User {
			return nil, forbidden(userQuery, fmt.Sprintf("%q is not who the credentials are for", shortName(uid)))
		}
	}
	topics := query[topicQuery]
	if n := len(c.topics) + len(topics); n > c.maxTopics || g.Limits.Topics > 0 && n > g.Limits.Topics {
		return nil, badRequest("topics", fmt.Sprintf("are %d, more than this connection may follow", n))
	}
	patterns := make([]wire.Pattern, len(topics))
	for i, topic := range topics {
		var err error
		if patterns[i], err = wire.ParsePattern(topic); err != nil {
			return nil, fieldError(fmt.Sprintf("topics[%d]", i), err)
		}
	}
	if err := g.CheckRead(patterns); err != nil {
		return nil, identityError(err)
	}
	return topics, nil
}

// session opens the books of a stream. Whoever gets it sees to its end.
func (c *config) session(r *http.Request, g *Grant, since uint64) (*session, *Error) {
	s := &session{grant: g}
	if c.gate != nil {
		leave, err := c.gate.Enter(r, g)
		if err != nil {
			return nil, identityError(err)
		}
		s.leave = leave
	}
	if refusal := c.sessions.join(s, since); refusal != nil {
		s.end()
		return nil, refusal
	}
	return s, nil
}

// WithPushGate has a gate bound what [AuthorizedPush] takes.
func WithPushGate(g Gate) PushOption { return func(c *pushConfig) { c.gate = g } }

// AuthorizedPush is [PushHandler] for callers with grants: what a request would
// publish beyond its grant is answered by 403, with the field of the user or topic
// that may not be pushed to, and nothing of it is published.
func AuthorizedPush(hub *engine.Hub, authorize Authorizer, opts ...PushOption) http.Handler {
	c := newPushConfig(opts)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuseMethod(w, r, "POST", http.MethodPost) {
			return
		}
		if c.gate != nil {
			if err := c.gate.Knock(r); err != nil {
				writeError(w, identityError(err))
				return
			}
		}
		g, refusal := grantOf(r, authorize, c.gate)
		if refusal != nil {
			writeError(w, refusal)
			return
		}
		c.serve(w, r, hub, &g)
	})
}

// PublishGrant is [Publish] within a grant.
func PublishGrant(w http.ResponseWriter, r *http.Request, hub *engine.Hub, g Grant, opts ...PushOption) ([]uint64, *Error) {
	if r.Method != http.MethodPost {
		return nil, &Error{Status: http.StatusMethodNotAllowed, Message: "only POST is allowed here"}
	}
	c := newPushConfig(opts)
	g, refusal := grantOf(r, func(*http.Request) (Grant, error) { return g, nil }, c.gate)
	if refusal != nil {
		return nil, refusal
	}
	return c.publish(w, r, hub, &g)
}

// mayPush checks a push that has been read against its grant, nil being all rights.
func (c *pushConfig) mayPush(r *http.Request, g *Grant, p *push, bytes int) *Error {
	if g == nil {
		return nil
	}
	if err := g.CheckPush(p.uids, p.events); err != nil {
		return identityError(err)
	}
	if c.gate != nil {
		if err := c.gate.Push(r, g, len(p.events), bytes); err != nil {
			return identityError(err)
		}
	}
	return nil
}
