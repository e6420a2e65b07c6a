package engine

// This file is how a connection gets into its shard's books, and out of them.

// enrol enters the client into the books.
func (s *shard) enrol(c *client) {
	s.endJoin(c, true)
	s.serial++
	c.wroteTick, c.born, c.serial = s.tick, s.tick, s.serial
	s.books.enter(c)
	s.markNew(c)
	if p := s.hub.presence; p != nil && c.uid != "" && c.kin.older == 0 {
		p.note(c.uid, true)
	}
	s.spend(writeCost + topicCost*len(c.topics))
}

// strike takes an enrolled client out of the books.
func (s *shard) strike(c *client) {
	s.noneOutgoing()
	s.books.strike(c)
	s.unmark(c)
	s.spend(topicCost * len(c.topics))
	if p := s.hub.presence; p != nil && c.uid != "" && s.books.users.Get(c.uid) == nil {
		p.note(c.uid, false)
	}
}

// doom marks a client in trouble for its end after the sweep under way. Until it comes,
// nothing is written to it, and what waits for it stays in the window.
func (s *shard) doom(c *client, err error) {
	if !c.doomed {
		c.doomed = true
		s.doomed = append(s.doomed, doomedClient{c, err})
	}
}

// closeDoomed ends those that are doomed, for a bounded cost: they may be all that there
// are.
func (s *shard) closeDoomed() {
	for end := s.until(s.hub.cfg.sweep); len(s.doomed) > 0 && !s.reached(end); {
		d := s.doomed[0]
		s.doomed[0] = doomedClient{}
		s.doomed = s.doomed[1:]
		d.c.doomed = false
		s.spend(lookCost)
		s.end(d.c, d.err)
	}
	if len(s.doomed) == 0 {
		s.doomed = nil
	}
}

// close ends a connection without a word: what still waits for it has failed,
// and its sink is called for the last time. Not to be called within a sweep;
// see doom.
func (s *shard) close(c *client, reason error) { s.closeAs(c, endingOf(reason), reason) }

// closeAs is close for a reason that is counted as the given ending. Every
// connection comes here once.
func (s *shard) closeAs(c *client, as ending, reason error) {
	s.noneOutgoing()
	switch c.state {
	case stateClosed:
		return
	case stateNew:
	case stateLeaving:
		s.failQueued(c)
		s.troubled.leaving--
		as, reason = c.lag.leaving.outcome(reason)
	default:
		if s.awaitsRun(c) {
			s.setBack(c)
		}
		s.failQueued(c)
		s.strike(c)
	}
	s.n[nEnds+count(as)]++
	if c.lag != nil {
		c.lag.drop(s)
		s.troubled.remove(c)
	}
	early := c.state == stateNew
	c.state = stateClosed
	if early {
		s.endJoin(c, false)
		s.early.left()
	}
	c.flags.Or(attendClosed)
	s.spend(writeCost)
	c.sink.Close(reason)
	c.sink = nil
	s.parted++
}
