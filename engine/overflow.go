package engine

// This file holds what happens to clients that cannot keep up.

// retryState is a client's overflow under PolicyRetry: events from from on
// found the queue full and are tried until the push time-out.
type retryState struct {
	from     position   // first event that found the queue full; 0: none
	to       position   // events from..to timed out, a hole in the queue; 0: none
	marks    []position // the shard's position at each try, oldest first
	nextTick uint32
}

// effective returns the policy that applies to the client.
func (s *shard) effective(c *client) Policy {
	p := c.policy
	if p == PolicyDefault {
		p = s.hub.cfg.policy
	}
	if p == PolicyDefault || p == PolicyCatchUp {
		if s.hub.log == nil {
			return PolicyRetry
		}
		return PolicyCatchUp
	}
	return p
}

// overflow applies the policy to a client whose queue passed its bound with
// the run that begins at seq.
func (s *shard) overflow(c *client, seq position) {
	switch s.effective(c) {
	case PolicyCatchUp:
		s.fallBehind(c, s.idAt(c.pos))
	case PolicyDisconnect:
		if !c.isDoomed(s) {
			s.doom(c, ErrOverflow)
		}
	case PolicyDropOldest:
		s.dropOldest(c)
	case PolicyRetry:
		if r := &c.lag.retry; r.from == 0 {
			*r = retryState{from: seq, marks: []position{s.high.pos}, nextTick: s.tick + s.hub.tryTicks}
		}
	}
}

// isDoomed says whether the sweep under way has condemned the client already.
func (c *client) isDoomed(s *shard) bool {
	for i := range s.doomed {
		if s.doomed[i].c == c {
			return true
		}
	}
	return false
}

// fallBehind lets the client go on from the log at its own position, after the
// given ID. Its queue is only a position, so there is nothing else to release.
func (s *shard) fallBehind(c *client, id eventID) {
	c.state, c.id = stateBehind, id
	c.lag.seen = s.high
	c.lag.queuedBytes = 0
	c.lag.history = newHistory(c)
	s.n[nBehind]++
	if !c.blocked {
		c.attend(attendMore)
	}
}

// dropOldest gives up the older half of the queue.
func (s *shard) dropOldest(c *client) {
	l := c.lag
	keep := l.queued / 2
	if l.queuedBytes > s.hub.cfg.queueBytes {
		keep = min(keep, l.queued*(s.hub.cfg.queueBytes/2)/l.queuedBytes)
	}
	// What is owed is on its way and cannot be taken back. Where it is the most of
	// the queue, half of what is left goes.
	left := l.queued - l.owed.len()
	drop := max(l.queued-keep-l.owed.len(), left/2)
	to := c.pos
	for drop > 0 && to != s.high.pos {
		to++
		e := s.hub.slot(to)
		s.spend(e.lookCost())
		if !e.failed && c.wants(e) {
			drop--
		}
	}
	s.giveUp(c, to)
}

// giveUp counts what waits for the client up to to as dropped and moves it on;
// it will be told of the gap.
func (s *shard) giveUp(c *client, to position) {
	if !c.pos.before(to) {
		return
	}
	s.n[nDropped] += s.loseQueued(c, c.pos+1, to)
	s.lose(c, s.idAt(c.pos), s.idAt(to))
	c.pos = to
	// What is tried goes on after what was given up. A hole that ends later
	// stays, and ends the gap.
	if r := &c.lag.retry; r.from != 0 && !to.before(r.from) && (r.to == 0 || !to.before(r.to)) {
		r.from, r.to = to+1, 0
	}
}

// loseQueued takes the events from..to out of what waits for the client, tells
// the callback of each, and returns their number.
func (s *shard) loseQueued(c *client, from, to position) (lost uint64) {
	bytes := 0
	s.eachWaiting(c, from, to, func(e *entry) {
		lost++
		bytes += e.weight(c.form)
		s.hub.tellFailed(c.uid, e)
	})
	c.lag.queued -= int(lost)
	c.lag.queuedBytes = max(0, c.lag.queuedBytes-bytes)
	return lost
}

// trimming is where trim has got.
type trimming struct {
	left   int      // laggards still to be looked at: those of a lower index
	lowest position // no one looked at is below
	low    position // the window is to begin here
}

// trim moves on the clients that wait at events which the window is about to
// lose: to the log, or to a later position with a gap. It goes on where it left
// off, for a bounded cost unless all is to be done at once, and returns whether it is
// through; until then the window begins no later than before.
func (s *shard) trim(low position, all bool) bool {
	t := &s.trims
	if t.left == 0 {
		t.left, t.lowest = len(s.laggards), s.high.pos
	}
	t.low = low
	high := s.high.pos
	ahead := low + (high+1-low)/8 // not again for each event
	if high.before(ahead) {
		ahead = high
	}
	for end := s.cost + s.hub.cfg.sweep; t.left > 0; {
		if s.cost >= end && !all {
			return false
		}
		if t.left--; t.left >= len(s.laggards) {
			continue // some have healed meanwhile
		}
		c := s.laggards[t.left]
		s.spend(lookCost)
		if c.state != stateLagging {
			continue
		}
		if (c.pos + 1).before(low) {
			switch s.effective(c) {
			case PolicyCatchUp:
				s.fallBehind(c, s.idAt(c.pos))
				continue
			case PolicyDisconnect:
				s.doom(c, ErrOverflow)
				s.giveUp(c, ahead)
			default:
				s.giveUp(c, ahead)
			}
		}
		if c.pos.before(t.lowest) {
			t.lowest = c.pos
		}
	}
	s.lagLow = t.lowest
	return true
}

// lags notes that a client lags at the position.
func (s *shard) lags(at position) {
	if at.before(s.lagLow) {
		s.lagLow = at
	}
	if t := &s.trims; t.left > 0 && at.before(t.lowest) {
		t.lowest = at
	}
}

// retry tries a client again whose queue is full, and times out what has been
// tried often enough.
func (s *shard) retry(c *client) {
	r := &c.lag.retry
	if r.from == 0 || c.state != stateLagging || before32(s.tick, r.nextTick) {
		return
	}
	c.blocked = false
	s.proceed(c)
	if c.state != stateLagging || c.lag.retry.from == 0 {
		return
	}
	if r.to == 0 && !c.pos.before(r.from) {
		r.from = c.pos + 1 // conflation passed it without a byte
	}
	r.nextTick = s.tick + s.hub.tryTicks
	r.marks = append(r.marks, s.high.pos)
	if len(r.marks) <= s.hub.cfg.tries {
		return
	}
	upTo := r.marks[0]
	r.marks = append(r.marks[:0], r.marks[1:]...)
	from := r.from
	if r.to != 0 {
		from = r.to + 1
	}
	if !upTo.before(from) {
		s.n[nTimedOut] += s.loseQueued(c, from, upTo)
		r.to = upTo
	}
}

// before32 compares ticks on their circle.
func before32(a, b uint32) bool { return int32(a-b) < 0 }
