package engine

import "slices"

// This file keeps a shard's books of who is connected.

// admit takes a new client in, at once or when the shard has reached the
// position that the client starts from. It does so also while the hub closes:
// what was pushed since Subscribe is the client's, and the drain sees to it.
func (s *shard) admit(c *client) {
	if d := s.hub.dismissal.Load(); d != nil && c.epoch != d.epoch {
		s.close(c, d.reason) // it began before, and was on its way
		return
	}
	if len(s.clients)+len(s.early) == 0 {
		s.skipTo(c)
	}
	if s.cursor().before(c.pos) || s.high.id < c.id {
		s.early = append(s.early, c) // it is not ready before the shard moves
		return
	}
	s.enrol(c)
	s.place(c)
}

// skipTo lets a shard without connections, which nobody woke for what came, pass
// over what was pushed before its first one joined.
func (s *shard) skipTo(c *client) {
	pos := c.pos
	if c.lag != nil && c.lag.resumes {
		pos = c.lag.fleeting
	}
	for s.cursor().before(pos) {
		from, to, ok := s.next(int(min(pos-s.cursor(), maxBatch)))
		if !ok {
			return
		}
		s.advance(s.deliver(from, to))
	}
}

// admitEarly looks again at the clients that were ahead of the shard, where it has
// moved since. It returns whether some are left to be looked at.
func (s *shard) admitEarly() (more bool) {
	if len(s.early) == 0 || s.earlyAt == s.cursor() {
		return false
	}
	waiting := s.early
	s.early = nil
	for end := s.cost + s.hub.cfg.sweep; len(waiting) > 0; waiting = waiting[1:] {
		if s.cost >= end {
			s.early = append(waiting, s.early...) // these are next
			return true
		}
		s.spend(lookCost)
		if c := waiting[0]; c.state == stateNew {
			s.admit(c)
		}
	}
	s.earlyAt = s.cursor()
	return false
}

// leftEarly notes that an early client is closed. Those who come and go while the
// shard stands still, behind a log that hangs, are let go of once they are the most.
func (s *shard) leftEarly() {
	if s.goneEarly++; 2*s.goneEarly > len(s.early) {
		s.early = slices.DeleteFunc(s.early, func(c *client) bool { return c.state == stateClosed })
		s.goneEarly = 0
	}
}

// enrol enters the client into the books.
func (s *shard) enrol(c *client) {
	c.index = int32(len(s.clients))
	c.wroteTick = s.tick
	s.clients = append(s.clients, c)
	s.spend(writeCost + topicCost*len(c.topics))
	if c.only {
		s.only++
	}
	if c.uid != "" {
		c.next = s.users[c.uid]
		s.users[c.uid] = c
	}
	for i := range c.topics {
		ref := &c.topics[i]
		ref.pattern = s.topics.Add(ref.pattern, c, int32(i))
	}
}

// strike takes an enrolled client out of the books.
func (s *shard) strike(c *client) {
	last := s.clients[len(s.clients)-1]
	s.clients[c.index] = last
	last.index = c.index
	s.clients[len(s.clients)-1] = nil
	s.clients = s.clients[:len(s.clients)-1]
	s.spend(topicCost * len(c.topics))
	if c.only {
		s.only--
	}

	if c.uid != "" {
		s.strikeUser(c)
	}
	for i := range c.topics {
		s.topics.Remove(c, int32(i))
	}
	s.clients = shrink(s.clients)
}

func (s *shard) strikeUser(c *client) {
	head := s.users[c.uid]
	if head != c {
		for head.next != c {
			head = head.next
		}
		head.next = c.next
	} else if c.next != nil {
		s.users[c.uid] = c.next
	} else {
		delete(s.users, c.uid)
	}
	c.next = nil
}

// shrink gives memory back once three quarters of a large list are unused.
func shrink(list []*client) []*client {
	if cap(list) < 1024 || len(list) > cap(list)/4 {
		return list
	}
	return append(make([]*client, 0, 2*len(list)), list...)
}

// doom marks the client for its end after the sweep under way.
func (s *shard) doom(c *client, err error) {
	s.doomed = append(s.doomed, doomedClient{c, err})
}

func (s *shard) closeDoomed() {
	for i := 0; i < len(s.doomed); i++ {
		d := s.doomed[i]
		s.end(d.c, d.err)
	}
	clear(s.doomed)
	s.doomed = s.doomed[:0]
}

// close ends a connection without a word: what still waits for it has failed,
// and its sink is called for the last time. Not to be called within a sweep;
// see doom.
func (s *shard) close(c *client, reason error) { s.closeAs(c, endingOf(reason), reason) }

// closeAs is close for a reason that is counted as the given ending. Every
// connection comes here once.
func (s *shard) closeAs(c *client, as ending, reason error) {
	switch c.state {
	case stateClosed:
		return
	case stateNew:
	case stateLeaving:
		s.failQueued(c)
		s.leaving--
		as, reason = c.lag.leave.outcome(reason)
	default:
		s.failQueued(c)
		s.strike(c)
	}
	s.n[nEnds+count(as)]++
	if c.lag != nil {
		s.forget(c)
	}
	c.dropRest(s)
	early := c.state == stateNew
	c.state = stateClosed
	if early {
		s.leftEarly()
	}
	c.flags.Or(attendClosed)
	s.spend(writeCost)
	c.sink.Close(reason)
	c.sink = nil
	s.hub.life.part()
}
