package engine

import "slices"

// earlyClients are those that have joined, but begin at a position that their shard
// has not reached.
type earlyClients struct {
	list  []*client
	seen  position // where the shard was when it began to look at all of them
	looks int      // still to be looked at, about, never fewer: the first of list
	gone  int      // of list, about: closed
}

// add notes a client. It is not ready before the shard moves.
func (e *earlyClients) add(c *client) { e.list = append(e.list, c) }

// turn puts back one that was taken from the front. All are to be looked at again, as
// the order in which they are looked at has changed.
func (e *earlyClients) turn(c *client) {
	e.add(c)
	e.looks = len(e.list)
}

// left notes that one of them is closed. Those who come and go while the shard
// stands still, behind a log that hangs, are let go of once they are the most.
func (e *earlyClients) left() {
	if e.gone++; 2*e.gone > len(e.list) {
		e.list = slices.DeleteFunc(e.list, func(c *client) bool { return c.state == stateClosed })
		e.gone = 0
	}
}

// pop takes out the client that came last, or nil.
func (e *earlyClients) pop() *client {
	n := len(e.list) - 1
	if n < 0 {
		return nil
	}
	c := e.list[n]
	e.list = e.list[:n]
	return c
}

// shift takes out the client that came first, or nil.
func (e *earlyClients) shift() *client {
	if len(e.list) == 0 {
		return nil
	}
	c := e.list[0]
	e.list[0] = nil
	e.list = e.list[1:]
	return c
}

// all returns those that wait, and some that are closed.
func (e *earlyClients) all() []*client { return slices.Clone(e.list) }

// admit takes a new client in, at once or when the shard has reached the
// position that the client starts from. It does so also while the hub closes:
// what was pushed since Subscribe is the client's, and the drain sees to it.
func (s *shard) admit(c *client) {
	if d := s.hub.dismissal.Load(); d != nil && c.epoch != d.epoch {
		s.close(c, d.reason) // it began before, and was on its way
		return
	}
	if d := s.emptied; d != nil {
		s.endEarly(c, d.Reason, d.retry()) // its seat was decided before
		return
	}
	if !s.holdsAny() {
		s.skipTo(c)
	}
	if s.cursor().before(c.pos) || s.high.id < c.id {
		s.early.add(c)
		return
	}
	s.enrol(c)
	s.place(c)
}

// holdsAny says whether the shard has a connection, in its books or to come.
func (s *shard) holdsAny() bool { return len(s.books.clients)+len(s.early.list) > 0 }

// skipTo lets a shard without connections, which nobody woke for what came, pass
// over what was pushed before its first one joined, however large the audiences: nothing
// is soon found in empty books.
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
		if to = s.deliver(from, to); !to.before(from) {
			s.advance(to)
		}
	}
}

// admitEarly looks again at the clients that were ahead of the shard, where it has
// moved since. It returns whether some are left to be looked at.
func (s *shard) admitEarly() (more bool) {
	e := &s.early
	if e.looks == 0 && e.seen != s.cursor() {
		e.seen, e.looks = s.cursor(), len(e.list)
	}
	for end := s.until(s.hub.cfg.sweep); e.looks > 0; e.looks-- {
		if s.reached(end) {
			return true
		}
		s.spend(lookCost)
		if c := e.shift(); c != nil && c.state == stateNew {
			s.admit(c)
		}
	}
	return len(e.list) > 0 && e.seen != s.cursor()
}
