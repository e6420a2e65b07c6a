package stream

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
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

// WithGate has a gate bound the streams.
func WithGate(g Gate) Option { return func(c *config) { c.gate = g } }

// WithSessions enters the streams into s, where their grants can be revoked.
func WithSessions(s *Sessions) Option { return func(c *config) { c.sessions = s } }

// WithQuery has [Authorized] refuse parameters other than its own and those that
// names lists, which its authorizer reads, such as "ticket". Without it they are
// the embedder's, and passed over.
func WithQuery(names ...string) Option {
	return func(c *config) { c.query = append([]string{userQuery}, names...) }
}

// Authorized is [Handler] for callers with grants: authorize says who the client
// is and what it may read, and the query says which topics and patterns it wants
// ("topic", any number of times). What it wants beyond its grant is answered by
// 403, as is a "uid" in the query that is not the grant's user; nothing is
// silently left out. The topics of [WithTopics] are for everybody who is let in.
// The stream ends, with a disconnect event, when the grant expires or is revoked.
func Authorized(hub *engine.Hub, authorize Authorizer, opts ...Option) http.Handler {
	c := newConfig(opts)
	return c.handler(hub, c.asked(authorize))
}

// ServeGrant is [Authorized] for a router of one's own that has seen to the
// credentials. It reports whether the request became a stream. What is revoked
// between the two is not seen here.
func ServeGrant(w http.ResponseWriter, r *http.Request, hub *engine.Hub, g Grant, opts ...Option) bool {
	c := newConfig(opts)
	return c.enter(w, r, hub, c.asked(func(*http.Request) (Grant, error) { return g, nil }))
}

// entry says who a request comes from, what it may do, and which topics it is to
// follow, all of which are allowed.
type entry func(r *http.Request) (g Grant, topics []string, refusal *Error)

// asked is the entry of those who ask for topics in the query.
func (c *config) asked(authorize Authorizer) entry {
	return func(r *http.Request) (Grant, []string, *Error) {
		g, refusal := grantOf(r, authorize, c.gate)
		if refusal != nil {
			return g, nil, refusal
		}
		topics, refusal := c.askedOf(r, &g)
		return g, topics, refusal
	}
}

// identified is the entry of those whose topics the server chooses.
func identified(identify func(*http.Request) (uid string, topics []string, err error)) entry {
	return func(r *http.Request) (g Grant, topics []string, refusal *Error) {
		if identify == nil {
			return FullGrant(""), nil, nil
		}
		uid, topics, err := identify(r)
		if err != nil {
			refusal = identityError(err)
		}
		return FullGrant(uid), topics, refusal
	}
}

// handler is the handler of all streams, however they come in.
func (c *config) handler(hub *engine.Hub, in entry) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.enter(w, r, hub, in) })
}

// enter answers one request and reports whether it became a stream.
func (c *config) enter(w http.ResponseWriter, r *http.Request, hub *engine.Hub, in entry) bool {
	if refuseMethod(w, r, "GET, HEAD", http.MethodGet, http.MethodHead) {
		return false
	}
	if c.gate != nil {
		if err := c.gate.Knock(r); err != nil {
			c.refuse(w, r, identityError(err))
			return false
		}
	}
	since := c.sessions.now()
	g, topics, refusal := in(r)
	var s *session
	if refusal == nil {
		s, refusal = c.session(r, g, since)
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
	query, refusal := c.parseAsked(r)
	if refusal != nil {
		return nil, refusal
	}
	for _, uid := range query[userQuery] {
		if uid != g.User {
			return nil, forbidden(userQuery, fmt.Sprintf("%q is not who the credentials are for", shortName(uid)))
		}
	}
	topics := query[topicQuery]
	most := c.maxTopics
	if g.Limits.Topics > 0 {
		most = min(most, g.Limits.Topics)
	}
	if n := len(c.topics) + len(topics); n > most {
		return nil, badRequest("topics", fmt.Sprintf("are %d, more than the %d that this connection may follow", n, most))
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

// parseAsked parses the query. A name that is meant for one of ours is refused, or
// the client would follow less than it thinks.
func (c *config) parseAsked(r *http.Request) (url.Values, *Error) {
	if c.query != nil {
		query, err := ParseQuery(r, c.query, []string{topicQuery})
		if err != nil {
			return nil, identityError(err)
		}
		return query, nil
	}
	query, refusal := parseQuery(r.URL.RawQuery)
	if refusal != nil {
		return nil, refusal
	}
	for _, name := range sortedKeys(query) {
		for _, ours := range []string{topicQuery, userQuery} {
			if letters := plainLetters(name); name != ours && strings.TrimSuffix(letters, "s") == ours {
				return nil, badRequest(shortName(name), "is no parameter of a stream: write "+ours)
			}
		}
	}
	return query, nil
}

// session opens the books of a stream, where there is anything to keep them for.
// Whoever gets it sees to its end.
func (c *config) session(r *http.Request, g Grant, since uint64) (*session, *Error) {
	if c.gate == nil && c.sessions == nil && g.Expires.IsZero() {
		return nil, nil
	}
	s := &session{grant: &g}
	if c.gate != nil {
		leave, err := c.gate.Enter(r, &g)
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

// WithPushGate has a gate bound what is pushed.
func WithPushGate(g Gate) PushOption { return func(c *pushConfig) { c.gate = g } }

// AuthorizedPush is [PushHandler] for callers with grants: what a request would
// publish beyond its grant is answered by 403, with the field of the user or topic
// that may not be pushed to, and nothing of it is published.
func AuthorizedPush(hub *engine.Hub, authorize Authorizer, opts ...PushOption) http.Handler {
	c := newPushConfig(opts)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !refuseMethod(w, r, "POST", http.MethodPost) {
			c.serve(w, r, hub, authorize)
		}
	})
}

// PublishGrant is [Publish] within a grant.
func PublishGrant(w http.ResponseWriter, r *http.Request, hub *engine.Hub, g Grant, opts ...PushOption) ([]uint64, *Error) {
	return publishAs(w, r, hub, func(*http.Request) (Grant, error) { return g, nil }, opts)
}

// anybody lets everyone push everything.
func anybody(*http.Request) (Grant, error) { return FullGrant(""), nil }

// pusher is the grant of who pushes.
func (c *pushConfig) pusher(r *http.Request, authorize Authorizer) (g Grant, refusal *Error) {
	if c.gate != nil {
		if err := c.gate.Knock(r); err != nil {
			return g, identityError(err)
		}
	}
	return grantOf(r, authorize, c.gate)
}

// mayPush checks a push that has been read against its grant.
func (c *pushConfig) mayPush(r *http.Request, g *Grant, p *push, bytes int) *Error {
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
