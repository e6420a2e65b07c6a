package stream

import (
	"sync"

	"github.com/spatehub/spate/engine"
)

// Sessions knows the streams that grants have allowed, so that a grant can be
// taken back: [WithSessions]. One may serve several handlers and hubs. The zero
// value is empty and ready, and may be used by many goroutines at once.
//
// Revoking ends streams at once, those that stall among them, with a disconnect
// event of reason "revoked", and reaches requests that are about to become one. It
// does not keep anybody from coming back: what says so is the authorizer.
type Sessions struct {
	mu struct {
		sync.Mutex
		users  lists
		grants lists

		// What was revoked last: a request that was authorized before has to pass
		// these when it joins.
		recent [recentRevocations]func(*Grant) bool
		epoch  uint64 // revocations so far
	}
}

// recentRevocations is how many may happen while a request goes from its
// authorizer to its stream. It is told to try again if there were more.
const recentRevocations = 64

// session is one stream of a grant, from before its head to its end.
type session struct {
	owner *Sessions // nil: it is in no books
	grant *Grant
	leave func() // gives back what a gate counts; nil: nothing

	once    sync.Once // of the end
	user    hook
	granted hook

	// These are under the lock of owner.
	subscriber engine.Subscriber
	tied       bool
	revoked    bool
}

// RevokeUser ends the streams of a user and returns how many there were.
func (s *Sessions) RevokeUser(user string) int {
	return s.revoke(func(g *Grant) bool { return g.User == user }, func(s *Sessions, fn func(*session)) { s.mu.users.each(user, fn) })
}

// RevokeGrant ends the streams of the grants with this ID and returns how many
// there were.
func (s *Sessions) RevokeGrant(id string) int {
	if id == "" {
		return 0
	}
	return s.revoke(func(g *Grant) bool { return g.ID == id }, func(s *Sessions, fn func(*session)) { s.mu.grants.each(id, fn) })
}

// Revoke ends the streams whose grant match reports true for, and returns how many
// there were. match is called for every stream, and a while later for those that
// begin meanwhile; it must be quick, change nothing and call nothing of Sessions.
func (s *Sessions) Revoke(match func(*Grant) bool) int {
	return s.revoke(match, (*Sessions).all)
}

// all calls fn for each session. The lock is held.
func (s *Sessions) all(fn func(*session)) {
	for user := range s.mu.users.heads {
		s.mu.users.each(user, fn)
	}
}

func (s *Sessions) revoke(match func(*Grant) bool, walk func(*Sessions, func(*session))) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.recent[s.mu.epoch%recentRevocations] = match
	s.mu.epoch++
	walk(s, func(one *session) {
		if one.revoked || !match(one.grant) {
			return
		}
		one.revoked = true
		n++
		if one.tied {
			one.subscriber.Revoke()
		}
	})
	return n
}

// now is how many revocations there were, to be asked before a request is
// authorized.
func (s *Sessions) now() uint64 {
	if s == nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.epoch
}

// join enters the session into the books, unless its grant was revoked since the
// given time: then the answer says so.
func (s *Sessions) join(one *session, since uint64) *Error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.epoch-since > recentRevocations {
		return unavailable("rights change at present")
	}
	for ; since != s.mu.epoch; since++ {
		if s.mu.recent[since%recentRevocations](one.grant) {
			return forbidden("", "the credentials have been revoked")
		}
	}
	one.owner = s
	one.user.session, one.granted.session = one, one
	s.mu.users.add(one.grant.User, &one.user)
	if one.grant.ID != "" {
		s.mu.grants.add(one.grant.ID, &one.granted)
	}
	return nil
}

// tie says which connection of the hub the session is.
func (one *session) tie(subscriber engine.Subscriber) {
	if one.owner == nil {
		return
	}
	one.owner.mu.Lock()
	defer one.owner.mu.Unlock()
	one.subscriber, one.tied = subscriber, true
	if one.revoked {
		subscriber.Revoke()
	}
}

// end takes the session out of the books. It may be called more than once, also
// beside tie.
func (one *session) end() {
	one.once.Do(func() {
		if s := one.owner; s != nil {
			s.mu.Lock()
			s.mu.users.remove(one.grant.User, &one.user)
			if one.grant.ID != "" {
				s.mu.grants.remove(one.grant.ID, &one.granted)
			}
			s.mu.Unlock()
		}
		if one.leave != nil {
			one.leave()
		}
	})
}

// Len is how many streams of grants there are.
func (s *Sessions) Len() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all(func(*session) { n++ })
	return n
}

// lists holds sessions by a name. The zero value is empty and ready.
type lists struct {
	heads map[string]*hook
	peak  int // most names since heads was made
}

// hook is a session's place in a list.
type hook struct {
	session    *session
	prev, next *hook
}

// roomyLists is how many names a map may once have had without being made anew.
const roomyLists = 1024

func (l *lists) add(name string, h *hook) {
	if l.heads == nil {
		l.heads = make(map[string]*hook)
	}
	if h.next = l.heads[name]; h.next != nil {
		h.next.prev = h
	}
	l.heads[name] = h
	l.peak = max(l.peak, len(l.heads))
}

func (l *lists) remove(name string, h *hook) {
	if h.next != nil {
		h.next.prev = h.prev
	}
	switch {
	case h.prev != nil:
		h.prev.next = h.next
	case h.next != nil:
		l.heads[name] = h.next
	default:
		delete(l.heads, name)
		l.shrink()
	}
	h.prev, h.next = nil, nil
}

// shrink gives memory back, which Go's maps do not, once three quarters of the
// names are gone.
func (l *lists) shrink() {
	if l.peak < roomyLists || len(l.heads) > l.peak/4 {
		return
	}
	small := make(map[string]*hook, len(l.heads))
	for name, h := range l.heads {
		small[name] = h
	}
	l.heads, l.peak = small, len(small)
}

func (l *lists) each(name string, fn func(*session)) {
	for h := l.heads[name]; h != nil; h = h.next {
		fn(h.session)
	}
}
