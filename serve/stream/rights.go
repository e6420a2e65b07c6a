package stream

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"slices"
	"strings"

	"github.com/spatehub/spate/wire"
)

// rights are what grants of many users have alike: all but who has them and for how
// long. They never change.
type rights struct {
	read   []wire.Pattern
	push   PushRights
	admin  bool
	limits Limits

	owner *Sessions
	hash  uint64
	used  int     // sessions that have them
	next  *rights // others of the same hash
}

// grant is a grant of these rights, of nobody yet.
func (r *rights) grant() Grant {
	return Grant{Read: r.read, Push: r.push, Admin: r.admin, Limits: r.limits}
}

// are reports whether the rights are the grant's.
func (r *rights) are(g *Grant) bool {
	return r.admin == g.Admin && r.limits == g.Limits && slices.Equal(r.read, g.Read) &&
		r.push.AnyUser == g.Push.AnyUser && r.push.Everyone == g.Push.Everyone &&
		slices.Equal(r.push.Topics, g.Push.Topics) && slices.Equal(r.push.Users, g.Push.Users)
}

// sharedRights are those of all sessions, each there once. The zero value is empty and
// ready.
type sharedRights struct{ byHash map[uint64]*rights }

// share returns the rights of a grant, whose hash [hashRights] says, for one session.
func (s *sharedRights) share(owner *Sessions, g *Grant, hash uint64) *rights {
	for r := s.byHash[hash]; r != nil; r = r.next {
		if r.are(g) {
			r.used++
			return r
		}
	}
	if s.byHash == nil {
		s.byHash = make(map[uint64]*rights)
	}
	// Their texts may be parts of something large, such as a token.
	r := &rights{read: clonePatterns(g.Read), push: g.Push, admin: g.Admin, limits: g.Limits, owner: owner, hash: hash, used: 1, next: s.byHash[hash]}
	r.push.Topics = clonePatterns(r.push.Topics)
	r.push.Users = slices.Clone(r.push.Users)
	for i, user := range r.push.Users {
		r.push.Users[i] = strings.Clone(user)
	}
	s.byHash[hash] = r
	return r
}

func clonePatterns(list []wire.Pattern) []wire.Pattern {
	list = slices.Clone(list)
	for i, p := range list {
		list[i] = p.Clone()
	}
	return list
}

// release gives back what a session had.
func (s *sharedRights) release(r *rights) {
	if r.used--; r.used > 0 {
		return
	}
	if s.byHash[r.hash] == r {
		if s.byHash[r.hash] = r.next; r.next == nil {
			delete(s.byHash, r.hash)
		}
		return
	}
	before := s.byHash[r.hash]
	for before.next != r {
		before = before.next
	}
	before.next = r.next
}

// hashRights is the same for equal rights.
func hashRights(g *Grant) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	hashPatterns(&h, g.Read)
	hashPatterns(&h, g.Push.Topics)
	hashNumber(&h, uint64(len(g.Push.Users)))
	for _, user := range g.Push.Users {
		hashText(&h, user)
	}
	for _, is := range []bool{g.Push.AnyUser, g.Push.Everyone, g.Admin} {
		b := byte(0)
		if is {
			b = 1
		}
		_ = h.WriteByte(b)
	}
	hashNumber(&h, uint64(g.Limits.Connections))
	hashNumber(&h, uint64(g.Limits.Topics))
	hashNumber(&h, math.Float64bits(g.Limits.PushEvents))
	hashNumber(&h, math.Float64bits(g.Limits.PushBytes))
	return h.Sum64()
}

func hashPatterns(h *maphash.Hash, list []wire.Pattern) {
	hashNumber(h, uint64(len(list)))
	for _, p := range list {
		hashText(h, p.String())
	}
}

func hashText(h *maphash.Hash, text string) {
	hashNumber(h, uint64(len(text)))
	_, _ = h.WriteString(text)
}

func hashNumber(h *maphash.Hash, n uint64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	_, _ = h.Write(b[:])
}
