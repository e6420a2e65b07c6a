package engine

import (
	"fmt"
	"time"
)

// This file moves a client between live and lagging: what happens when its
// sink is full, and when it takes bytes again.

// stop takes a client out of the live ones because its sink took only n bytes
// of the run, or failed.
func (s *shard) stop(c *client, j *joined, n int, err error) {
	took := j.taken(n)
	s.n[nPushed] += uint64(j.len())
	s.n[nDelivered] += uint64(took)

	c.placed = c.placed || took > 0
	waits := s.awaitsRun(c)
	l := s.startLag(c, stateLagging)
	l.queue.add(j.len()-took, j.weight(n))
	if waits {
		s.queueAfter(c, s.patience.to)
	}
	if n > 0 {
		c.wroteTick = s.tick
	}
	if err != nil {
		c.reach(j.before(took))
		s.troubled.lags(c.pos)
		s.doom(c, err)
		return
	}
	s.block(c, j, n, took)
}

// block notes how far a sink that is now full got in the run: a frame sent in
// part, or a coded stretch, is completed before anything else.
func (s *shard) block(c *client, j *joined, n, took int) {
	c.filled()
	c.reach(j.before(took))
	if rest := j.rest(n, took); rest != nil {
		s.keepRest(c, rest)
		if len(rest) > smallRest && s.hub.frames.crowded(s.hub.cfg.ringBytes) {
			s.doom(c, errCrowded)
		}
		last := took + j.unit(took)
		for i := took; i < last; i++ {
			c.lag.partial.add(j.at(i))
		}
		c.lag.partial.weight = j.weight(len(j.bytes()) - len(rest))
		c.reach(j.at(last - 1))
	}
	if c.state == stateLagging {
		s.troubled.lags(c.pos)
	}
}

// reach moves the client to a point of what it reads: the ring or the log.
func (c *client) reach(p point) {
	if c.state == stateBehind {
		c.id = p.id
	} else {
		c.pos = p.pos
	}
}

// filled notes that the sink takes no more. No page is kept for a client that has
// to wait.
func (c *client) filled() {
	c.lag.stall.filled()
	if h := c.lag.history; h != nil && !h.asked {
		h.private = nil
	}
}

// recover makes a client live that has got everything up to the shard's
// position. The shard alone makes this switch, between two batches, so nothing
// can be missed or doubled.
func (s *shard) recover(c *client) {
	if checked && c.lag.queue.events != 0 {
		panic(fmt.Sprintf("engine: live with %d events waiting", c.lag.queue.events))
	}
	s.endResume(&c.lag.resuming)
	s.troubled.remove(c)
	s.revive(c)
}

// enqueue lets a run wait for a lagging client: nothing is copied, the events
// are in the window behind pos.
func (s *shard) enqueue(c *client, j *joined) {
	l := c.lag
	s.n[nPushed] += uint64(j.len())
	l.queue.add(j.len(), j.weight(0))
	if l.queue.events > s.hub.cfg.queue() || l.queue.bytes > s.hub.cfg.queueBytes {
		s.overflow(c, j.at(0).pos)
	}
}

// proceed sends what waits for the client, in order, until its sink is full or
// it is live again or closed. Called between batches only.
func (s *shard) proceed(c *client) {
	if c.doomed {
		return
	}
	for !c.full() && c.state != stateClosed {
		if c.owes() {
			if !s.flushRest(c) {
				return
			}
			continue
		}
		if c.live() {
			return
		}
		if c.state == stateLeaving {
			s.takeLeave(c)
			continue
		}
		if c.barred() {
			return // its end is in the mail
		}
		if c.lag.gap.told {
			s.tellGap(c)
			continue
		}
		if c.state == stateBehind {
			if !s.readOn(c) {
				return
			}
			continue
		}
		if !s.flushWindow(c) {
			return
		}
	}
}

// flushRest sends the remainder of what was sent in part. It returns whether
// all of it is gone.
func (s *shard) flushRest(c *client) bool {
	rest := c.lag.rest
	n, err := s.write(c, rest.B)
	if n > 0 {
		s.progress(c, c.lag.partial.lighten(n, len(rest.B)))
	}
	if err != nil {
		s.close(c, err)
		return false
	}
	if n < len(rest.B) {
		rest.B = append(rest.B[:0], rest.B[n:]...)
		c.filled()
		return false
	}
	for at := range c.lag.partial.all() {
		s.sent(c, 1, func(upTo point) int { return upTo.count(at) })
	}
	c.lag.drop(s)
	return true
}

// flushWindow sends a bounded part of the events in the window that wait for
// the client. It returns false where the client has to wait for its sink or
// for its next turn.
func (s *shard) flushWindow(c *client) bool {
	l := c.lag
	if l.retry.atHole(c.pos) {
		s.lose(c, s.idAt(c.pos), s.idAt(l.retry.to))
		c.pos, l.retry = l.retry.to, trying{}
		return true
	}
	to := s.gatherWindow(c)
	if j := s.gatheredRun(); j.len() > 0 && !s.send(c, j) {
		s.leaveOut(c)
		return false
	}
	c.pos = to
	s.leaveOut(c)
	if c.pos == s.cursor() {
		s.recover(c)
		return false
	}
	if s.mailSpent() {
		c.attend(attendMore) // others first
		return false
	}
	return true
}

// gatherWindow joins events after pos that are for the client, up to a write's
// bound of bytes or of looks, and returns the position that is reached when they
// are sent.
func (s *shard) gatherWindow(c *client) (reached position) {
	s.gathered.begin(c.form)
	g := &s.gathered.run
	last := c.lag.retry.beforeHole(s.cursor())
	newest := s.newestKeys(c, c.pos, last)
	reached = c.pos
	// Under conflation, which has looked at all of it already, only bytes count:
	// every part would begin with that look again.
	var before *entry // that was gathered last
	for end := s.until(sendBytes); reached.before(last) && !g.full() && (newest != nil || !s.reached(end)); {
		reached++
		e := s.hub.slot(reached)
		s.spend(e.lookCost())
		if !c.awaits(reached, e) {
			continue
		}
		if newest != nil && e.key != "" && newest[e.conflationKey()] != reached {
			s.gathered.skipped = append(s.gathered.skipped, reached)
			continue
		}
		g.put(point{pos: reached}, e.in(c.form), before != nil && sameAudience(before, e))
		before = e
	}
	return reached
}

// awaits says whether a client that is not live is to get the event of the
// window.
func (c *client) awaits(p position, e *entry) bool {
	return !e.failed && c.wants(e) && !(e.ephemeral() && !c.lag.fleeting.before(p))
}

// send writes a run to a client that is not live. It returns whether all was
// taken; if not, the client waits for its sink or is closed.
func (s *shard) send(c *client, j *joined) bool {
	n, err := s.write(c, j.bytes())
	took := j.taken(n)
	if took > 0 {
		s.sent(c, took, func(upTo point) int { return j.upTo(upTo, took) })
	}
	if n > 0 {
		s.progress(c, j.weight(0)-j.weight(n))
	}
	if err == nil && n == len(j.bytes()) {
		return true
	}
	if err != nil {
		c.reach(j.before(took))
		s.close(c, err)
		return false
	}
	s.block(c, j, n, took)
	return false
}

// progress notes that the sink took bytes, which counted as weight where they waited.
func (s *shard) progress(c *client, weight int) {
	c.wroteTick = s.tick
	if l := c.lag; l != nil {
		l.stall.took(s.tick)
		l.queue.take(0, weight)
		l.retry.took()
	}
}

// sent counts n events that a client which is not live has got. upTo says how many of
// them, the first ones, are up to a point.
func (s *shard) sent(c *client, n int, upTo func(point) int) {
	c.placed = true
	l := c.lag
	resent := upTo(l.base)
	s.n[nResent] += uint64(resent)
	l.resuming.events += uint32(resent)
	if resent == n {
		return
	}
	known := n // are counted as pushed
	if c.state == stateBehind {
		known = max(resent, upTo(l.history.seen))
	}
	l.queue.take(known-resent, 0)
	s.n[nPushed] += uint64(n - known)
	s.n[nDelivered] += uint64(n - resent)
}

// keepRest copies what must be sent before anything else.
func (s *shard) keepRest(c *client, b []byte) {
	l, counted := c.lag, 0
	if l.rest == nil {
		l.rest = s.hub.frames.get()
		l.rest.Reset()
	} else {
		counted = cap(l.rest.B)
	}
	l.rest.B = append(l.rest.B, b...)
	s.hub.frames.rests.Add(int64(cap(l.rest.B) - counted))
}

// drop gives back what was to be sent before anything else.
func (l *lag) drop(s *shard) {
	if l.rest != nil {
		s.hub.frames.rests.Add(-int64(cap(l.rest.B)))
		s.hub.frames.put(l.rest)
		l.rest = nil
	}
	l.partial.clear()
}

// failQueued counts what waits for a client that goes away as failed, and
// hands to the callback what of it the window still holds.
func (s *shard) failQueued(c *client) {
	if c.lag == nil || c.lag.queue.events == 0 {
		return
	}
	if s.hub.cfg.failed != nil {
		for at := range c.lag.partial.all() {
			// By itself: what was given up may lie between it and pos.
			p := at.pos
			if id := at.id; p == 0 && id > s.oldestID() && id <= s.high.id {
				p = s.find(id) // a record that the window has too
			}
			if p != 0 {
				s.eachWaiting(c, p, p, func(e *entry) { s.hub.tellFailed(c.uid, e) })
			}
		}
	}
	s.failWaiting(c)
}

// failWaiting is failQueued without a callback for the frame sent in part.
func (s *shard) failWaiting(c *client) {
	l := c.lag
	if l.queue.events == 0 {
		return
	}
	s.n[nFailed] += uint64(l.queue.events)
	l.queue.events = 0
	if s.hub.cfg.failed == nil {
		return
	}
	last := s.high.pos
	switch c.state {
	case stateBehind:
		last = l.history.seen.pos
	case stateLeaving:
		return // nothing waits but the frame sent in part
	}
	s.eachWaiting(c, s.placeOf(c)+1, last, func(e *entry) { s.hub.tellFailed(c.uid, e) })
}

// refuse counts a run as failed for a live client whose rights have been taken back. Its
// end is in the mail.
func (s *shard) refuse(c *client, j *joined) {
	s.n[nPushed] += uint64(j.len())
	s.n[nFailed] += uint64(j.len())
	if s.hub.notices.wanted() {
		for i := range j.len() {
			s.hub.tellFailed(c.uid, s.hub.slot(j.at(i).pos))
		}
	}
}

// eachWaiting calls fn for the events from..to in the window that are for the
// client and counted as pushed to it.
func (s *shard) eachWaiting(c *client, from, to position, fn func(*entry)) {
	if low := s.oldest(); from.before(low) {
		from = low
	}
	if first := c.lag.base.pos + 1; from.before(first) {
		from = first
	}
	r := &c.lag.retry
	for seq := from; !to.before(seq); seq++ {
		if r.timedOut(seq) {
			continue // counted so
		}
		e := s.hub.slot(seq)
		s.spend(e.lookCost())
		if !e.failed && c.wants(e) {
			fn(e)
		}
	}
}

// ticksOf converts a duration to ticks of the hub's clock, at least one, and at
// most a quarter of their circle: more than two months.
func (h *Hub) ticksOf(d time.Duration) uint32 {
	return uint32(min(max(1, (d-1)/h.period+1), 1<<30))
}
