package auth

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/spatehub/spate/serve/stream"
)

// maxRevoked bounds what a list of revocations keeps.
const maxRevoked = 100_000

// errRevoked is the answer to credentials that were taken back.
var errRevoked = &stream.Error{Status: http.StatusForbidden, Message: "the credentials have been revoked"}

// ErrRevocationsFull says that nothing more can be revoked. As an answer it is a 503.
var ErrRevocationsFull error = &stream.Error{Status: http.StatusServiceUnavailable, RetryAfter: time.Minute,
	Message: fmt.Sprintf("%d revocations are remembered, and no more can be: nothing was revoked", maxRevoked)}

// Revocations remembers which grants were taken back, so that who had them is
// refused when it returns: a token goes on to be a good one by itself. What is
// revoked is kept until the grants in question have expired anyway: in memory, which
// a restart forgets, unless they are kept in a file ([Revocations.Keep]).
//
// The zero value is empty and ready, and may be used by many goroutines at once.
type Revocations struct {
	change sync.Mutex       // whoever adds one
	file   *revocationsFile // nil: in memory alone
	mu     struct {
		sync.Mutex
		revoked
		unsaved []revocation // learned, and not in the file yet
		stale   bool         // the file lacks more than these
	}
	now func() time.Time // nil: time.Now
}

// revoked is what is taken back.
type revoked struct {
	grants map[string]time.Time // by ID: until when
	users  map[string]cutoff

	// Before it nothing is over, so that who is full does not look at all there is each
	// time; the zero time is not known.
	soonest time.Time
}

// cutoff takes back the grants of a user that were issued before.
type cutoff struct{ at, until time.Time }

// revocation is one of either.
type revocation struct {
	user, grant string
	cutoff
}

func (v *Revocations) clock() time.Time {
	if v.now != nil {
		return v.now()
	}
	return time.Now()
}

// Grant takes back the grant with this ID, until when it would have expired; the
// zero time is for ever. Of two of the same ID, or the same user, the one that holds
// longer counts.
//
// On an error nothing has changed: [ErrRevocationsFull] where 100,000 entries are kept
// that are still of use, or that of the file.
func (v *Revocations) Grant(id string, until time.Time) error {
	if id == "" || !utf8.ValidString(id) {
		return errors.New("auth: a grant is revoked by its ID, a text in UTF-8")
	}
	return v.add(revocation{grant: id, cutoff: cutoff{v.clock(), until}})
}

// User takes back all grants of the user that were issued until now, and those
// that do not say when they were, until the time given, when the last of them has
// expired; the zero time is for ever. Errors are those of Grant.
func (v *Revocations) User(user string, until time.Time) error {
	if user == "" {
		return errors.New("auth: nobody has no name to be revoked by")
	}
	if err := checkUser(user); err != nil {
		return fmt.Errorf("auth: the user %w", err)
	}
	return v.add(revocation{user: user, cutoff: cutoff{v.clock(), until}})
}

// add makes a revocation hold, which is written first.
func (v *Revocations) add(r revocation) error {
	v.change.Lock()
	defer v.change.Unlock()
	v.mu.Lock()
	ok := v.mu.has(&r) || v.mu.room(v.clock())
	v.mu.Unlock()
	if !ok {
		return ErrRevocationsFull
	}
	if v.file != nil {
		if err := v.write(false, r); err != nil {
			return err
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.mu.put(&r)
	return nil
}

// has says whether the entry has the place of another one.
func (m *revoked) has(r *revocation) (has bool) {
	if r.user != "" {
		_, has = m.users[r.user]
	} else {
		_, has = m.grants[r.grant]
	}
	return has
}

// put has the revocation hold beside the one that has its place: what was taken back
// stays so, also where the clock was set back meanwhile, or the new one ends sooner.
func (m *revoked) put(r *revocation) {
	if !r.until.IsZero() && r.until.Before(m.soonest) {
		m.soonest = r.until
	}
	if m.users == nil {
		m.users, m.grants = map[string]cutoff{}, map[string]time.Time{}
	}
	if r.user != "" {
		c := r.cutoff
		if before, has := m.users[r.user]; has {
			if before.at.After(c.at) {
				c.at = before.at
			}
			c.until = longer(before.until, c.until)
		}
		m.users[r.user] = c
		return
	}
	until := r.until
	if before, has := m.grants[r.grant]; has {
		until = longer(before, until)
	}
	m.grants[r.grant] = until
}

// longer returns the later of two ends; the zero time is none.
func longer(a, b time.Time) time.Time {
	if a.IsZero() || b.IsZero() {
		return time.Time{}
	}
	if a.After(b) {
		return a
	}
	return b
}

func (m *revoked) len() int { return len(m.grants) + len(m.users) }

// room makes room for one more by forgetting what is over, once there is none.
func (m *revoked) room(now time.Time) bool {
	if m.len() >= maxRevoked && !now.Before(m.soonest) {
		m.forget(now)
	}
	return m.len() < maxRevoked
}

// forget drops what is over.
func (m *revoked) forget(now time.Time) {
	m.soonest = now.Add(time.Hour) // or later
	drop := func(until time.Time) bool {
		if over(until, now) {
			return true
		}
		if !until.IsZero() && until.Before(m.soonest) {
			m.soonest = until
		}
		return false
	}
	maps.DeleteFunc(m.grants, func(_ string, until time.Time) bool { return drop(until) })
	maps.DeleteFunc(m.users, func(_ string, c cutoff) bool { return drop(c.until) })
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
