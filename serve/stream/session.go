package stream

import (
	"sync"
	"sync/atomic"
	"time"

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
		lists     [listings]lists
		rights    sharedRights
		deadlines deadlines

		// What was revoked last: a request that was authorized before has to pass
		// these when it joins.
		recent [recentRevocations]func(*Grant) bool
		epoch  uint64 // revocations so far
	}
}

// recentRevocations is how many may happen while a request goes from its
// authorizer to its stream. It is told to try again if there were more.
const recentRevocations = 64

// session is one stream of a grant, from before its head to its end. There is one for
// each connection: it keeps what says which grant it has, and shares what many grants
// have alike.
//
// As an [engine.Sink] it is that of the stream, with the session's end; see hand.
type session struct {
	names  string  // the user, then the grant's ID
	user   int32   // bytes of names that are the user
	place  int32   // in the owner's deadlines, from 1; 0: not there
	rights *rights // nil: it is in no books
	times  times
	leave  func() // gives back what a gate counts; nil: nothing
	sink   engine.Sink

	// These are under the lock of the owner.
	links      [listings]link
	subscriber engine.Subscriber

	flags atomic.Uint32 // changed under the lock of the owner where there is one
}

// Write implements [engine.Sink].
func (one *session) Write(p []byte) (int, error) { return one.sink.Write(p) }

// Close implements [engine.Sink].
func (one *session) Close(reason error) {
	one.end()
	one.sink.Close(reason)
}

// owner has the session in its books; nil: nobody has.
func (one *session) owner() *Sessions {
	if one.rights == nil {
		return nil
	}
	return one.rights.owner
}

// name is what the session is found by; "" is not at all, but for a user.
func (one *session) name(by listing) string {
	if by == byUser {
		return one.names[:one.user]
	}
	return one.names[one.user:]
}

// What has become of a session.
const (
	sessionTied uint32 = 1 << iota
	sessionRevoked
	sessionEnded
)

// times are the two of a grant, in less than two of [time.Time].
type times struct {
	issued, expires         int64
	issuedPart, expiresPart int32 // nanoseconds
}

func timesOf(g *Grant) times {
	return times{g.Issued.Unix(), g.Expires.Unix(), int32(g.Issued.Nanosecond()), int32(g.Expires.Nanosecond())}
}

// timeOf is a time that was taken apart.
func timeOf(s int64, part int32) time.Time {
	if t := time.Unix(s, int64(part)); !t.IsZero() {
		return t
	}
	return time.Time{}
}

// grant puts the session's grant together.
func (one *session) grant() Grant {
	g := one.rights.grant()
	g.User, g.ID = one.name(byUser), one.name(byGrant)
	g.Issued = timeOf(one.times.issued, one.times.issuedPart)
	g.Expires = timeOf(one.times.expires, one.times.expiresPart)
	return g
}

// RevokeUser ends the streams of a user and returns how many there were.
func (s *Sessions) RevokeUser(user string) int {
	return s.RevokeUserIf(user, func(*Grant) bool { return true })
}

// RevokeUserIf ends those streams of a user whose grant match reports true for, and
// returns how many there were. match is as that of Revoke.
func (s *Sessions) RevokeUserIf(user string, match func(*Grant) bool) int {
	return s.revoke(func(g *Grant) bool { return g.User == user && match(g) }, func(s *Sessions, fn func(*session)) { s.mu.lists[byUser].each(user, byUser, fn) })
}

// RevokeGrant ends the streams of the grants with this ID and returns how many
// there were.
func (s *Sessions) RevokeGrant(id string) int {
	if id == "" {
		return 0
	}
	return s.revoke(func(g *Grant) bool { return g.ID == id }, func(s *Sessions, fn func(*session)) { s.mu.lists[byGrant].each(id, byGrant, fn) })
}

// Revoke ends the streams whose grant match reports true for, and returns how many
// there were. match is called for every stream, and a while later for those that
// begin meanwhile; it must be quick, change nothing, call nothing of Sessions and keep
// nothing of the grant.
func (s *Sessions) Revoke(match func(*Grant) bool) int {
	return s.revoke(match, (*Sessions).all)
}

// all calls fn for each session. The lock is held.
func (s *Sessions) all(fn func(*session)) {
	for hash := range s.mu.lists[byUser].heads {
		s.mu.lists[byUser].eachOf(hash, byUser, fn)
	}
}

func (s *Sessions) revoke(match func(*Grant) bool, walk func(*Sessions, func(*session))) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.recent[s.mu.epoch%recentRevocations] = match
	s.mu.epoch++
	var g Grant
	walk(s, func(one *session) {
		if one.flags.Load()&sessionRevoked != 0 {
			return
		}
		if g = one.grant(); !match(&g) {
			return
		}
		n++
		if one.flags.Or(sessionRevoked)&sessionTied != 0 {
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

// join enters the session of a grant into the books, unless that was revoked since the
// given time: then the answer says so.
func (s *Sessions) join(one *session, g *Grant, since uint64) *Error {
	if s == nil {
		return nil
	}
	hash := hashRights(g)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.epoch-since > recentRevocations {
		return unavailable("rights change at present")
	}
	for ; since != s.mu.epoch; since++ {
		if s.mu.recent[since%recentRevocations](g) {
			return forbidden("", "the credentials have been revoked")
		}
	}
	one.times = timesOf(g)
	one.rights = s.mu.rights.share(s, g, hash)
	s.mu.lists[byUser].add(byUser, one)
	if one.name(byGrant) != "" {
		s.mu.lists[byGrant].add(byGrant, one)
	}
	return nil
}

// tie says which connection of the hub the session is, and when that has to end; the
// zero time is never.
func (one *session) tie(subscriber engine.Subscriber, deadline time.Time) {
	s := one.owner()
	s.mu.Lock()
	defer s.mu.Unlock()
	if one.flags.Load()&sessionEnded != 0 {
		return
	}
	one.subscriber = subscriber
	if one.flags.Or(sessionTied)&sessionRevoked != 0 {
		subscriber.Revoke()
	}
	if !deadline.IsZero() {
		s.addDeadline(one, deadline)
	}
}

// end takes the session out of the books. It may be called more than once, also
// beside tie.
func (one *session) end() {
	if one.finish() && one.leave != nil {
		one.leave()
	}
}

// finish is end but for what a gate counts, and reports whether it was the first.
func (one *session) finish() bool {
	s := one.owner()
	if s == nil {
		return one.flags.Or(sessionEnded)&sessionEnded == 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if one.flags.Or(sessionEnded)&sessionEnded != 0 {
		return false
	}
	s.mu.lists[byUser].remove(byUser, one)
	if one.name(byGrant) != "" {
		s.mu.lists[byGrant].remove(byGrant, one)
	}
	s.mu.deadlines.remove(one)
	s.mu.rights.release(one.rights)
	return true
}

// Len is how many streams of grants there are.
func (s *Sessions) Len() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all(func(*session) { n++ })
	return n
}
