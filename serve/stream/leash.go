package stream

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/spatehub/spate/engine"
)

// limit is what ends a stream from this side, other than the hub: the deadline of
// the request's context, and the context that WithContext names.
//
// That the request's own context is cancelled ends a stream only while its handler
// runs: after a take-over the handler returns, and the server cancels the
// context, so that nobody else's cancelling can be told from that.
type limit struct {
	deadline time.Time // zero: none
	ctx      context.Context
	session  *session // nil: of no grant
}

func (c *config) limitOf(r *http.Request) (l limit) {
	l.deadline, _ = r.Context().Deadline()
	if c.context != nil {
		l.ctx = c.context(r)
	}
	return l
}

// set reports whether there is any limit.
func (l limit) set() bool {
	return !l.deadline.IsZero() || l.ctx != nil && l.ctx.Done() != nil || l.session != nil
}

// limitOfGrant is limitOf for the stream of a grant.
func (c *config) limitOfGrant(r *http.Request, s *session, expires time.Time) limit {
	l := c.limitOf(r)
	if s != nil {
		l.session = s
		if !expires.IsZero() && (l.deadline.IsZero() || expires.Before(l.deadline)) {
			l.deadline = expires
		}
	}
	return l
}

// booked reports whether the books of a session have all of the limit.
func (l limit) booked() bool {
	return l.session != nil && l.session.owner() != nil && (l.ctx == nil || l.ctx.Done() == nil)
}

// release gives back what a stream held that has ended, or did not become one.
func (l limit) release() {
	if l.session != nil {
		l.session.end()
	}
}

// leash ends a connection when its limit is reached. tie and loose may be called
// side by side, once each.
type leash struct {
	session *session
	stops   *stops // nil: nothing waits but what is in the session's books
	state   atomic.Uint32
}

// stops stop what waits for one connection alone; each may be nil.
type stops struct{ deadline, ctx func() bool }

// Which of tie and loose has come first.
const (
	leashNew uint32 = iota
	leashTied
	leashLoose
)

// tie has the subscriber end with the limit.
func (l *leash) tie(to limit, subscriber engine.Subscriber) {
	if !to.set() {
		return
	}
	l.session = to.session
	var wait stops
	if to.session != nil && to.session.owner() != nil {
		to.session.tie(subscriber, to.deadline)
	} else if !to.deadline.IsZero() {
		wait.deadline = time.AfterFunc(time.Until(to.deadline), subscriber.Expire).Stop
	}
	if to.ctx != nil && to.ctx.Done() != nil {
		wait.ctx = context.AfterFunc(to.ctx, subscriber.Expire)
	}
	if wait.deadline != nil || wait.ctx != nil {
		l.stops = &wait
	}
	if !l.state.CompareAndSwap(leashNew, leashTied) {
		l.cut()
	}
}

// loose lets go of the connection, which has ended.
func (l *leash) loose() {
	if !l.state.CompareAndSwap(leashNew, leashLoose) {
		l.cut()
	}
}

// cut gives back what tie took. It is called by whichever comes second.
func (l *leash) cut() {
	limit{session: l.session}.release()
	if l.stops == nil {
		return
	}
	for _, stop := range []func() bool{l.stops.deadline, l.stops.ctx} {
		if stop != nil {
			stop()
		}
	}
}
