package auth

import (
	"net/http"
	"sync"
	"time"

	"github.com/spatehub/spate/serve/stream"
)

// maxRevoked bounds what a list of revocations keeps.
const maxRevoked = 100_000

// errRevoked is the answer to credentials that were taken back.
var errRevoked = &stream.Error{Status: http.StatusForbidden, Message: "the credentials have been revoked"}

// Revocations remembers which grants were taken back, so that who had them is
// refused when it returns: a token goes on to be a good one by itself. What is
// revoked is kept until the grants in question have expired anyway. It is kept in
// memory: a restart forgets it.
//
// The zero value is empty and ready, and may be used by many goroutines at once.
type Revocations struct {
	mu struct {
		sync.Mutex
		grants map[string]time.Time // by ID: until when
		users  map[string]cutoff
	}
	now func() time.Time // nil: time.Now
}

// cutoff takes back the grants of a user that were issued before.
type cutoff struct{ at, until time.Time }

func (v *Revocations) clock() time.Time {
	if v.now != nil {
		return v.now()
	}
	return time.Now()
}

// Grant takes back the grant with this ID, until when it would have expired; the
// zero time is for ever. It reports false, and does nothing, where 100,000 entries
// are kept that are still of use.
func (v *Revocations) Grant(id string, until time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.mu.grants == nil {
		v.mu.grants = map[string]time.Time{}
	}
	if !v.roomLocked(v.clock()) {
		return false
	}
	v.mu.grants[id] = until
	return true
}

// User takes back all grants of the user that were issued until now, and those
// that do not say when they were, until the time given, when the last of them has
// expired; the zero time is for ever. See Grant for what it reports.
func (v *Revocations) User(user string, until time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.mu.users == nil {
		v.mu.users = map[string]cutoff{}
	}
	now := v.clock()
	if !v.roomLocked(now) {
		return false
	}
	v.mu.users[user] = cutoff{now, until}
	return true
}

// roomLocked makes room for one more by forgetting what is over, once there is none.
func (v *Revocations) roomLocked(now time.Time) bool {
	if len(v.mu.grants)+len(v.mu.users) < maxRevoked {
		return true
	}
	for id, until := range v.mu.grants {
		if over(until, now) {
			delete(v.mu.grants, id)
		}
	}
	for user, c := range v.mu.users {
		if over(c.until, now) {
			delete(v.mu.users, user)
		}
	}
	return len(v.mu.grants)+len(v.mu.users) < maxRevoked
}

func over(until, now time.Time) bool { return !until.IsZero() && !now.Before(until) }

// Revoked reports whether the grant was taken back.
func (v *Revocations) Revoked(g *stream.Grant) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.clock()
	if until, has := v.mu.grants[g.ID]; has && g.ID != "" && !over(until, now) {
		return true
	}
	c, has := v.mu.users[g.User]
	return has && g.User != "" && !over(c.until, now) && !g.Issued.After(c.at)
}

// Guard refuses what the authorizer grants and is revoked.
func (v *Revocations) Guard(a stream.Authorizer) stream.Authorizer {
	return func(r *http.Request) (stream.Grant, error) {
		g, err := a(r)
		if err == nil && v.Revoked(&g) {
			return stream.Grant{}, errRevoked
		}
		return g, err
	}
}
