package auth

import (
	"errors"
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

// Learn takes over revocations that were made elsewhere, at their own times, beside those
// that there are. It returns those that say more than was known: these hold at once, also
// where there is an error, which is that of the others, or of the file.
func (v *Revocations) Learn(list ...Revocation) (fresh []Revocation, err error) {
	v.change.Lock()
	defer v.change.Unlock()
	now := v.clock()
	for _, r := range list {
		if wrong := r.check(); wrong != nil {
			err = wrong
			continue
		}
		own := r.own()
		v.mu.Lock()
		switch {
		case over(own.until, now) || v.mu.holds(&own):
		case !v.mu.has(&own) && !v.mu.room(now):
			err = ErrRevocationsFull
		default:
			v.mu.put(&own)
			fresh = append(fresh, r)
		}
		v.mu.Unlock()
	}
	if v.file == nil || len(fresh) == 0 {
		return fresh, err
	}
	if one := fresh[0].own(); len(fresh) == 1 {
		return fresh, errors.Join(err, v.file.append(&one, &v.mu.revoked)) // which nobody else changes
	}
	return fresh, errors.Join(err, v.file.rewrite(&v.mu.revoked))
}

// holds says whether what there is says as much.
func (m *revoked) holds(r *revocation) bool {
	until, has := m.grants[r.grant]
	if r.user != "" {
		var c cutoff
		if c, has = m.users[r.user]; c.at.Before(r.at) {
			return false
		}
		until = c.until
	}
	return has && longer(until, r.until).Equal(until)
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
