package engine

import "slices"

// This file marks the connections of an event that is for several users, over several
// passes where those are many.

// marking is what has been done of an event whose users in the shard are too many for
// one pass. While it is under way, the shard's position is before the event. A connection
// that enters the books is marked at once if the event is for it, whether or not its user
// has been looked for; for one that leaves them with its mark, the event has failed.
type marking struct {
	at   position // of the event
	next int      // the first of its users that is still to be looked for; 0: none is under way

	// told are users with connections that came after the event was counted, and told, as
	// lost for them. Nothing is lost for them once more.
	told map[string]struct{}
}

// markBit is the bit of an event that has a fan-out of its own.
const markBit = 1

// markCostOf is what the marks of an event cost, but for looks at its users' connections.
// Those to be written to cost a fan-out far more than these looks.
func (s *shard) markCostOf(e *entry) int { return markCost * e.crowd.in(s.id) }

// isLarge says whether the users of an event are too many to be marked in one go. Such
// an event has a fan-out of its own.
func (s *shard) isLarge(e *entry) bool { return s.markCostOf(e) > s.hub.cfg.marks }

// markLarge goes on with the marks of an event that has a fan-out of its own, if it is
// large, for a bounded cost and that of one user with all its connections. It returns
// whether they are done.
func (s *shard) markLarge(at position) (done bool) {
	e := s.hub.slot(at)
	if e.crowd == nil || !s.isLarge(e) {
		return true
	}
	m := &s.marking
	m.at = at
	m.next = s.markCrowd(e, markBit, m.next, s.until(s.hub.cfg.marks))
	return m.next == e.crowd.in(s.id)
}

// markNew marks a connection that enters the books, if an event that is being marked is
// for it.
func (s *shard) markNew(c *client) {
	m := &s.marking
	if m.next == 0 {
		return
	}
	e := s.hub.slot(m.at)
	s.spend(markCost)
	if !c.wants(e) {
		return
	}
	if s.lookedFor(c.uid) && !s.counted(c) {
		if m.told == nil {
			m.told = map[string]struct{}{}
		}
		m.told[c.uid] = struct{}{}
	}
	s.fan.touch(c, markBit)
}

// counted says whether a client's user, who has been looked for, has older connections
// that are counted as receivers of the event being marked.
func (s *shard) counted(c *client) bool {
	if _, told := s.marking.told[c.uid]; told {
		return false
	}
	for o := s.books.older(c); o != nil; o = s.books.older(o) {
		s.spend(lookCost)
		if o.bits != 0 {
			return true
		}
	}
	return false
}

// unmark takes its mark from a connection that leaves the books. Where its user is still
// to be looked for, the event is counted then. One that reads the log is a receiver of
// what it has come to there.
func (s *shard) unmark(c *client) {
	if c.bits == 0 { // as always but while a large audience is being marked
		return
	}
	c.bits = 0
	m := &s.marking
	e := s.hub.slot(m.at)
	s.spend(e.lookCost())
	if _, told := m.told[c.uid]; told || c.state == stateBehind || !s.lookedFor(c.uid) {
		return
	}
	s.n[nPushed]++
	s.n[nFailed]++
	s.hub.tellFailed(c.uid, e)
}

// lookedFor says whether a user of the event being marked has been looked for.
func (s *shard) lookedFor(uid string) bool {
	m := &s.marking
	of := s.hub.slot(m.at).crowd
	if m.next == of.in(s.id) {
		return true
	}
	i, _ := slices.BinarySearch(of.names, uid)
	return i < of.at(s.id, m.next)
}

// markCrowd marks the connections of the event's users in the shard, from a number on
// until the end that until gave, and tells the failure callback of those without one. It
// returns the number of the first user that is left.
func (s *shard) markCrowd(e *entry, bit uint64, from, end int) (next int) {
	s.fan.offline = s.fan.offline[:0]
	n := e.crowd.in(s.id)
	for next = from; next < n && !s.reached(end); next++ {
		if i := e.crowd.at(s.id, next); !s.markUser(e, e.crowd.names[i], bit) && s.hub.notices.wanted() {
			s.fan.offline = append(s.fan.offline, uint32(i))
		}
	}
	s.hub.tellFailedMany(s.fan.offline, e)
	s.fan.forgetOffline()
	return next
}
