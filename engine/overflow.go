package engine

// This file holds what happens to clients that cannot keep up.

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
		s.doom(c, ErrOverflow)
	case PolicyDropOldest:
		s.dropOldest(c)
	case PolicyRetry:
		c.lag.retry.begin(seq, s.high.pos, s.tick+s.hub.tryTicks)
	}
}

// fallBehind lets the client go on from the log at its own position, after the
// given ID. Its queue is only a position, so there is nothing else to release.
func (s *shard) fallBehind(c *client, id eventID) {
	c.state, c.id = stateBehind, id
	c.lag.queue.bytes = 0
	c.lag.history = newHistory(c, s.high)
	s.n[nBehind]++
	if !c.full() {
		c.attend(attendMore)
	}
}

// dropOldest gives up the older half of the queue.
func (s *shard) dropOldest(c *client) {
	l := c.lag
	keep := l.queue.events / 2
	if l.queue.bytes > s.hub.cfg.queueBytes {
		keep = min(keep, l.queue.events*(s.hub.cfg.queueBytes/2)/l.queue.bytes)
	}
	// What was sent in part is on its way and cannot be taken back. Where it is the
	// most of the queue, half of what is left goes.
	left := l.queue.events - l.pending()
	drop := max(left-keep, left/2)
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
	c.lag.retry.gaveUp(to)
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
	c.lag.queue.take(int(lost), bytes)
	return lost
}

// trim moves on the clients that wait at events which the window is about to
// lose: to the log, or to a later position with a gap. It goes on where it left
// off, for a bounded cost unless all is to be done at once, and returns whether it is
// through; until then the window begins no later than before.
func (s *shard) trim(low position, all bool) bool {
	t := &s.troubled
	high := s.high.pos
	t.startTrim(low, high)
	ahead := low + (high+1-low)/8 // not again for each event
	if high.before(ahead) {
		ahead = high
	}
	for end := s.until(s.hub.cfg.sweep); t.trims.active(); {
		if s.reached(end) && !all {
			return false
		}
		c := t.nextTrimmed()
		if c == nil {
			continue // some have healed meanwhile
		}
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
		t.trims.keeps(c.pos)
	}
	t.low = t.trims.lowest
	return true
}
