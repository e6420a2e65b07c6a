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
// It panics for a nil hub or authorizer.
func Authorized(hub *engine.Hub, authorize Authorizer, opts ...Option) http.Handler {
	mustGuard(authorize)
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

// entry says who a request comes from and what it is to get.
type entry func(r *http.Request) (a admitted, refusal *Error)

// admitted is who is let in.
type admitted struct {
	grant  Grant
	topics []string   // to follow, all of which are allowed
	query  url.Values // of the request; nil: not parsed
}

// asked is the entry of those who ask for topics in the query.
func (c *config) asked(authorize Authorizer) entry {
	return func(r *http.Request) (a admitted, refusal *Error) {
		if a.grant, refusal = grantOf(r, authorize, c.gate); refusal == nil {
			refusal = c.askedOf(r, &a)
		}
		return a, refusal
	}
}

// identified is the entry of those whose topics the server chooses.
func identified(identify func(*http.Request) (uid string, topics []string, err error)) entry {
	return func(r *http.Request) (a admitted, refusal *Error) {
		if identify == nil {
			return admitted{grant: FullGrant("")}, nil
		}
		uid, topics, err := identify(r)
		if err != nil {
			refusal = identityError(err)
		}
		return admitted{grant: FullGrant(uid), topics: topics}, refusal
	}
}

// handler is the handler of all streams, however they come in.
func (c *config) handler(hub *engine.Hub, in entry) http.Handler {
	mustServe(hub)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.enter(w, r, hub, in) })
}

// mustServe panics where a handler is made of no hub: each of its requests would.
func mustServe(hub *engine.Hub) {
	if hub == nil {
		panic("stream: a handler of a nil hub")
	}
}

// mustGuard panics where a handler is made of no authorizer.
func mustGuard(authorize Authorizer) {
	if authorize == nil {
		panic("stream: a handler of a nil authorizer")
	}
}

// enter answers one request and reports whether it became a stream.
func (c *config) enter(w http.ResponseWriter, r *http.Request, hub *engine.Hub, in entry) bool {
	begun, head := c.decide(w, r, hub, in)
	if begun == nil {
		return head
	}
	c.begin(w, r, hub, begun)
	return true
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

// askedOf reads what the request asks for, all of which the grant allows. Where that is
// very much, few requests are read at a time.
func (c *config) askedOf(r *http.Request, a *admitted) *Error {
	if r.URL.RawQuery == "" {
		return nil
	}
	if len(r.URL.RawQuery) >= dearQuery {
		done, err := dearTurns.take(r.Context(), c.source(r))
		if err != nil {
			return unavailable("too many requests ask for very much")
		}
		defer done()
	}
	var refusal *Error
	if a.query, refusal = c.parseAsked(r); refusal != nil {
		return refusal
	}
	for _, uid := range a.query[userQuery] {
		if uid != a.grant.User {
			return forbidden(userQuery, fmt.Sprintf("%q is not who the credentials are for", shortName(uid)))
		}
	}
	a.topics = a.query[topicQuery]
	most := c.maxTopics
	if n := a.grant.Limits.Topics; n > 0 {
		most = min(most, n)
	}
	if n := len(c.topics) + len(a.topics); n > most {
		return badRequest(topicQuery, fmt.Sprintf("makes it %d topics, more than the %d that this connection may follow", n, most))
	}
	patterns, refusal := ParseTopics(a.topics)
	if refusal != nil {
		return refusal
	}
	if err := a.grant.CheckRead(patterns); err != nil {
		return identityError(err)
	}
	return nil
}

// ParseTopics parses the values of a query's parameter "topic": topics and patterns. The
// error is the answer where one is none, or more have wildcards than a connection may
// follow; it says which by its value.
func ParseTopics(topics []string) ([]wire.Pattern, *Error) {
	patterns, wild := make([]wire.Pattern, len(topics)), 0
	for i, topic := range topics {
		p, err := wire.ParsePattern(topic)
		if err != nil {
			refusal := fieldError(topicQuery, err)
			refusal.Message = fmt.Sprintf("%q %s", shortName(topic), refusal.Message)
			return nil, refusal
		}
		if patterns[i] = p; p.Wild() {
			wild++
		}
	}
	if wild > engine.MaxPatterns {
		return nil, badRequest(topicQuery, fmt.Sprintf("has %d patterns with wildcards, more than the %d that a connection may follow", wild, engine.MaxPatterns))
	}
	return patterns, nil
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
func (c *config) session(r *http.Request, g *Grant, since uint64) (*session, *Error) {
	names := g.ownNames()
	if c.gate == nil && c.sessions == nil && g.Expires.IsZero() {
		return nil, nil
	}
	s := &session{names: names, user: int32(len(g.User))}
	if c.gate != nil {
		leave, err := c.gate.Enter(r, g)
		if err != nil {
			return nil, identityError(err)
		}
		s.leave = leave
	}
	if refusal := c.sessions.join(s, g, since); refusal != nil {
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
// It panics for a nil hub or authorizer.
func AuthorizedPush(hub *engine.Hub, authorize Authorizer, opts ...PushOption) http.Handler {
	mustServe(hub)
	mustGuard(authorize)
	c := newPushConfig(opts)
	return readRest(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !refuseMethod(w, r, "POST", http.MethodPost) {
			c.serve(w, r, hub, authorize)
		}
	}), c.bodyTimeout)
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
