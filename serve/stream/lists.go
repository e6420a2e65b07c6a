package stream

// listing is a way by which sessions are found.
type listing int

const (
	byUser listing = iota
	byGrant
	listings // their number
)

// lists holds sessions by a name. The zero value is empty and ready.
type lists struct {
	heads map[string]*session
	peak  int // most names since heads was made
}

// link is a session's place in a list.
type link struct{ prev, next *session }

// roomyLists is how many names a map may once have had without being made anew.
const roomyLists = 1024

func (l *lists) add(name string, by listing, one *session) {
	if l.heads == nil {
		l.heads = make(map[string]*session)
	}
	head := l.heads[name]
	if one.links[by].next = head; head != nil {
		head.links[by].prev = one
	}
	l.heads[name] = one
	l.peak = max(l.peak, len(l.heads))
}

func (l *lists) remove(name string, by listing, one *session) {
	at := &one.links[by]
	if at.next != nil {
		at.next.links[by].prev = at.prev
	}
	switch {
	case at.prev != nil:
		at.prev.links[by].next = at.next
	case at.next != nil:
		l.heads[name] = at.next
	default:
		delete(l.heads, name)
		l.shrink()
	}
	*at = link{}
}

// shrink gives memory back, which Go's maps do not, once three quarters of the
// names are gone.
func (l *lists) shrink() {
	if l.peak < roomyLists || len(l.heads) > l.peak/4 {
		return
	}
	small := make(map[string]*session, len(l.heads))
	for name, one := range l.heads {
		small[name] = one
	}
	l.heads, l.peak = small, len(small)
}

func (l *lists) each(name string, by listing, fn func(*session)) {
	for one := l.heads[name]; one != nil; one = one.links[by].next {
		fn(one)
	}
}
