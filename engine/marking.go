package engine

// This file marks the connections of an event that is for several users, over several
// passes where those are many.

// marking is what has been done of an event whose users in the shard are too many for
// one pass. While it is under way, the shard's position is before the event. A connection
// that enters the books is marked at once if the event is for it, whether or not its user
// has been looked for; one that leaves them loses its mark.
type marking struct {
	at   position // of the event
	next int      // the first of its users that is still to be looked for; 0: none is under way
}

// markBit is the bit of an event that has a fan-out of its own.
const markBit = 1

func (s *shard) markCostOf(e *entry) int { return markCost * e.crowd.in(s.id) }

// isLarge says whether the users of an event are too many to be marked in one go. Such
// an event has a fan-out of its own.
func (s *shard) isLarge(e *entry) bool { return s.markCostOf(e) > s.hub.cfg.sweep }

// markLarge goes on with the marks of an event that has a fan-out of its own, if it is
// large, for a bounded cost. It returns whether they are done.
func (s *shard) markLarge(at position) (done bool) {
	e := s.hub.slot(at)
	if e.crowd == nil || !s.isLarge(e) {
		return true
	}
	m := &s.marking
	m.at = at
	n := e.crowd.in(s.id)
	part := max(1, s.hub.cfg.sweep/markCost)
	if len(s.books.users) == 0 {
		part = n // nothing to be found is soon found
	}
	part = min(part, n-m.next)
	s.markCrowd(e, markBit, m.next, m.next+part)
	m.next += part
	return m.next == n
}

// markNew marks a connection that enters the books, if an event that is being marked is
// for it. It may have been told failed for the user, who was not there then.
func (s *shard) markNew(c *client) {
	if s.marking.next == 0 {
		return
	}
	s.spend(markCost)
	if c.wants(s.hub.slot(s.marking.at)) {
		s.fan.touch(c, markBit)
	}
}

// markCrowd marks the connections of the shard's users from..to of the event's, and tells
// the failure callback of those without one.
func (s *shard) markCrowd(e *entry, bit uint64, from, to int) {
	s.fan.offline = s.fan.offline[:0]
	for n := from; n < to; n++ {
		if i := e.crowd.at(s.id, n); !s.markUser(e, e.crowd.names[i], bit) && s.hub.notices.wanted() {
			s.fan.offline = append(s.fan.offline, uint32(i))
		}
	}
	s.hub.tellFailedMany(s.fan.offline, e)
	s.fan.forgetOffline()
}
