package auth

import (
	"errors"
	"maps"
	"time"
	"unicode/utf8"
)

// Revocation is what was taken back: of a user, all that was issued until a time, or one
// grant.
type Revocation struct {
	User  string    `json:"user,omitempty"`
	Grant string    `json:"grant,omitempty"` // its ID, where there is no user
	At    time.Time `json:"at"`              // when it was made
	Until time.Time `json:"until,omitzero"`  // how long it holds; the zero time is for ever
}

func (r *Revocation) own() revocation {
	return revocation{user: r.User, grant: r.Grant, cutoff: cutoff{r.At, r.Until}}
}

// check returns why it is none.
func (r *Revocation) check() error {
	switch {
	case (r.User == "") == (r.Grant == ""):
		return errors.New("auth: a revocation has a user or a grant, and not both")
	case r.At.IsZero():
		return errors.New("auth: a revocation says when it was made")
	case !utf8.ValidString(r.Grant):
		return errors.New("auth: a grant's ID is a text in UTF-8")
	case r.User != "":
		return checkUser(r.User)
	}
	return nil
}

// Covers says whether r takes back all that other does.
func (r *Revocation) Covers(other *Revocation) bool {
	if r.User != other.User || r.Grant != other.Grant {
		return false
	}
	have := r.own().cutoff
	if r.User == "" {
		have.at = other.At // a grant is taken back as a whole
	}
	return have.covers(cutoff{other.At, other.Until})
}

// covers says whether c takes back all that other does.
func (c cutoff) covers(other cutoff) bool {
	return !c.at.Before(other.at) && longer(c.until, other.until).Equal(c.until)
}

// maxUnsaved is how many lines wait for [Revocations.Save] before it writes the file anew.
const maxUnsaved = 1000

// Learn takes over revocations that were made elsewhere, at their own times, beside those
// that there are. It returns those that say more than was known: these hold at once, in
// memory; [Revocations.Save] keeps them. err is of others: those that are none, or
// [ErrRevocationsFull]. It waits for no disk.
func (v *Revocations) Learn(list ...Revocation) (fresh []Revocation, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.clock()
	for _, r := range list {
		if wrong := r.check(); wrong != nil {
			err = wrong
			continue
		}
		// What is over is kept while there is room: it is so by a clock that may be wrong today.
		own := r.own()
		switch {
		case v.mu.holds(&own):
		case !v.mu.has(&own) && !v.mu.room(now):
			err = ErrRevocationsFull
		default:
			v.mu.put(&own)
			fresh = append(fresh, r)
		}
	}
	if v.file != nil {
		for _, r := range fresh {
			v.mu.unsaved = append(v.mu.unsaved, r.own())
		}
		if len(v.mu.unsaved) > maxUnsaved {
			v.mu.unsaved, v.mu.stale = nil, true
		}
	}
	return fresh, err
}

// Save writes what was learned to the file of [Revocations.Keep], if there is one. What
// could not be written is written by the next call.
func (v *Revocations) Save() error {
	v.change.Lock()
	defer v.change.Unlock()
	v.mu.Lock()
	more, anew := v.mu.unsaved, v.mu.stale
	v.mu.unsaved, v.mu.stale = nil, false
	v.mu.Unlock()
	if len(more) == 0 && !anew {
		return nil
	}
	err := v.write(anew, more...)
	if err != nil {
		v.mu.Lock()
		v.mu.stale = true
		v.mu.Unlock()
	}
	return err
}

// write adds lines to the file, or has it written anew before. v.change is held, and
// v.mu is not.
func (v *Revocations) write(anew bool, more ...revocation) error {
	v.mu.Lock()
	kept := v.mu.len()
	v.mu.Unlock()
	return v.file.append(more, anew || v.file.lines >= 2*kept+spareLines, func() revoked {
		v.mu.Lock()
		defer v.mu.Unlock()
		return revoked{grants: maps.Clone(v.mu.grants), users: maps.Clone(v.mu.users)}
	})
}

// holds says whether what there is says as much.
func (m *revoked) holds(r *revocation) bool {
	if r.user != "" {
		c, has := m.users[r.user]
		return has && c.covers(r.cutoff)
	}
	until, has := m.grants[r.grant]
	return has && cutoff{r.at, until}.covers(r.cutoff)
}

// All returns what holds.
func (v *Revocations) All() []Revocation {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.clock()
	all := make([]Revocation, 0, v.mu.len())
	for user, c := range v.mu.users {
		if !over(c.until, now) {
			all = append(all, Revocation{User: user, At: c.at, Until: c.until})
		}
	}
	for id, until := range v.mu.grants {
		if !over(until, now) {
			all = append(all, Revocation{Grant: id, At: time.Unix(0, 0), Until: until})
		}
	}
	return all
}

// OfUser returns what was taken back of a user; false: nothing that still holds.
func (v *Revocations) OfUser(user string) (Revocation, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	c, has := v.mu.users[user]
	return Revocation{User: user, At: c.at, Until: c.until}, has && !over(c.until, v.clock())
}
