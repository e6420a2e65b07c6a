package engine

// trying is a client's overflow under PolicyRetry: events that found the queue full
// are tried until the push time-out. What has timed out is a hole in what waits for
// the client; it is told of as a gap when its turn comes.
type trying struct {
	from     position   // first event that found the queue full; 0: none
	to       position   // events from..to timed out; 0: none
	marks    []position // the shard's position at each try, oldest first
	nextTick uint32
}

// active says whether an event found the queue full.
func (r *trying) active() bool { return r.from != 0 }

// begin begins with the first event that found the queue full, unless one did
// before.
func (r *trying) begin(seq, high position, nextTick uint32) {
	if !r.active() {
		*r = trying{from: seq, marks: []position{high}, nextTick: nextTick}
	}
}

// took notes that the sink took a byte: nothing is tried any more, but for a hole.
func (r *trying) took() {
	if r.to == 0 {
		*r = trying{}
	}
}

// due says whether it is time to try again.
func (r *trying) due(now uint32) bool { return r.active() && !before32(now, r.nextTick) }

// passed notes how far the client has come without its sink's taking a byte.
func (r *trying) passed(pos position) {
	if r.to == 0 && !pos.before(r.from) {
		r.from = pos + 1
	}
}

// gaveUp notes that what waited up to a position was given up: what is tried goes
// on after it. A hole that ends later stays, and ends the gap.
func (r *trying) gaveUp(to position) {
	if r.active() && !to.before(r.from) && (r.to == 0 || !to.before(r.to)) {
		r.from, r.to = to+1, 0
	}
}

// failed notes a try in vain, with the shard at high. Once there were enough, what
// was there at the first of them has timed out: the events from..to.
func (r *trying) failed(high position, nextTick uint32, tries int) (from, to position, out bool) {
	r.nextTick = nextTick
	r.marks = append(r.marks, high)
	if len(r.marks) <= tries {
		return 0, 0, false
	}
	from, to = r.from, r.marks[0]
	r.marks = append(r.marks[:0], r.marks[1:]...)
	if r.to != 0 {
		from = r.to + 1
	}
	if to.before(from) {
		return 0, 0, false
	}
	return from, to, true
}

// timedOut says whether the event is in the hole.
func (r *trying) timedOut(p position) bool {
	return r.to != 0 && !p.before(r.from) && !r.to.before(p)
}

// atHole says whether the hole is what comes next for a client at the position.
func (r *trying) atHole(pos position) bool { return r.to != 0 && !(pos + 1).before(r.from) }

// beforeHole cuts a stretch that ends at last before the hole.
func (r *trying) beforeHole(last position) position {
	if r.to != 0 && (r.from - 1).before(last) {
		return r.from - 1
	}
	return last
}

// retry tries a client again whose queue is full, and times out what has been
// tried often enough.
func (s *shard) retry(c *client) {
	if c.state != stateLagging || !c.lag.retry.due(s.tick) {
		return
	}
	c.lag.stall.full = false
	s.proceed(c)
	if c.state != stateLagging || !c.lag.retry.active() {
		return
	}
	r := &c.lag.retry
	r.passed(c.pos) // conflation may have
	if from, to, out := r.failed(s.high.pos, s.tick+s.hub.tryTicks, s.hub.cfg.tries); out {
		s.n[nTimedOut] += s.loseQueued(c, from, to)
		r.to = to
	}
}
