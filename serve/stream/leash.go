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
func (c *config) limitOfGrant(r *http.Request, s *session) limit {
	l := c.limitOf(r)
	if s != nil {
		l.session = s
		if end := s.grant.Expires; !end.IsZero() && (l.deadline.IsZero() || end.Before(l.deadline)) {
			l.deadline = end
		}
	}
	return l
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
	cut   atomic.Pointer[func()] // stops what waits; published by tie
	freed atomic.Bool            // set by loose before it looks at cut, looked at by tie after it has set it
}

// tie has the subscriber end with the limit.
func (l *leash) tie(to limit, subscriber engine.Subscriber) {
	if !to.set() {
		return
	}
	var stops [2]func() bool
	if !to.deadline.IsZero() {
		stops[0] = time.AfterFunc(time.Until(to.deadline), subscriber.Expire).Stop
	}
	if to.ctx != nil {
		stops[1] = context.AfterFunc(to.ctx, subscriber.Expire)
	}
	if to.session != nil {
		to.session.tie(subscriber)
	}
	cut := func() {
		to.release()
		for _, stop := range stops {
			if stop != nil {
				stop()
			}
		}
	}
	l.cut.Store(&cut)
	if l.freed.Load() {
		cut()
	}
}

// loose lets go of the connection, which has ended.
func (l *leash) loose() {
	l.freed.Store(true)
	if cut := l.cut.Load(); cut != nil {
		(*cut)()
	}
}
