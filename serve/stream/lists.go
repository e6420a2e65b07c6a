package stream

import (
	"hash/maphash"
	"maps"
)

// listing is a way by which sessions are found.
type listing int

const (
	byUser listing = iota
	byGrant
	listings // their number
)

// lists holds sessions by a name: by its hash, which takes less memory. Those of two
// names may so be in one list, and who looks for one compares. The zero value is empty
// and ready.
type lists struct {
	heads map[uint64]*session
	peak  int // most lists since heads was made
}

// link is a session's place in a list.
type link struct{ prev, next *session }

// roomyLists is how many lists a map may once have had without being made anew.
const roomyLists = 1024

var seed = maphash.MakeSeed()

func (l *lists) add(by listing, one *session) {
	if l.heads == nil {
		l.heads = make(map[uint64]*session)
	}
	hash := maphash.String(seed, one.name(by))
	head := l.heads[hash]
	if one.links[by].next = head; head != nil {
		head.links[by].prev = one
	}
	l.heads[hash] = one
	l.peak = max(l.peak, len(l.heads))
}

func (l *lists) remove(by listing, one *session) {
	at := &one.links[by]
	if at.next != nil {
		at.next.links[by].prev = at.prev
	}
	switch {
	case at.prev != nil:
		at.prev.links[by].next = at.next
	case at.next != nil:
		l.heads[maphash.String(seed, one.name(by))] = at.next
	default:
		delete(l.heads, maphash.String(seed, one.name(by)))
		l.shrink()
	}
	*at = link{}
}

// shrink gives memory back, which Go's maps do not, once three quarters of the
// lists are gone.
func (l *lists) shrink() {
	if l.peak < roomyLists || len(l.heads) > l.peak/4 {
		return
	}
	small := make(map[uint64]*session, len(l.heads))
	maps.Copy(small, l.heads)
	l.heads, l.peak = small, len(small)
}

// each calls fn for the sessions of the name, and maybe others.
func (l *lists) each(name string, by listing, fn func(*session)) {
	l.eachOf(maphash.String(seed, name), by, fn)
}

func (l *lists) eachOf(hash uint64, by listing, fn func(*session)) {
	for one := l.heads[hash]; one != nil; one = one.links[by].next {
		fn(one)
	}
}
