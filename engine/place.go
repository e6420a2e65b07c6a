package engine

import "github.com/spatehub/spate/wire"

// place gives a new client its first position: live, in the window, or behind.
func (s *shard) place(c *client) {
	resumes := c.lag != nil && c.lag.resumes
	s.startLag(c, stateLagging)
	l := c.lag
	l.seen = l.base
	if l.base.pos.before(l.fleeting) {
		l.fleeting = l.base.pos
	}

	switch {
	case !resumes && c.pos != s.hub.origin.pos && !c.pos.before(s.oldest()-1):
		// A live start.
	case l.gapName != "":
		s.loseAll(c, 0)
	case resumes && !s.hub.cfg.resend:
		from := c.id
		c.pos = s.cursor()
		if from != s.high.id {
			s.loseAll(c, from)
		}
	case c.id >= s.oldestID():
		c.pos = s.find(c.id)
	case s.hub.log != nil:
		s.fallBehind(c, c.id)
		l.history.check = resumes
	default:
		c.pos = s.oldest() - 1
		s.lose(c, c.id, s.idAt(c.pos))
	}
	if c.state == stateLagging {
		s.enterWindow(c)
	}
	s.proceed(c)
}

// enterWindow counts what of the window waits for a client that comes from the
// log. New clients have nothing: what is before them is resent, not delivered.
func (s *shard) enterWindow(c *client) {
	l := c.lag
	c.state = stateLagging
	if l.queued > 0 {
		// It was counted as pushed before the client turned to the log. What
		// neither came from there nor is still to come from the window is lost:
		// to retention, or, being ephemeral, for want of a log.
		waiting := 0
		s.eachWaiting(c, c.pos+1, l.seen.pos, func(*entry) { waiting++ })
		s.n.dropped += uint64(l.queued - waiting)
		l.queued = waiting
	}
	if l.seen.pos.before(s.high.pos) {
		first := l.seen.pos + 1
		if !c.pos.before(first) {
			first = c.pos + 1
		}
		s.eachWaiting(c, first, s.high.pos, func(e *entry) {
			s.n.pushed++
			l.queued++
		})
		l.seen = s.high
	}
	if c.pos.before(s.lagLow) {
		s.lagLow = c.pos
	}
}

// lose notes that history in (from, to] is lost to the client, to be told
// before anything later. Where no ID lies between, nothing is: what went was
// ephemeral.
func (s *shard) lose(c *client, from, to eventID) {
	l := c.lag
	if to <= from && !l.gap {
		return
	}
	if !l.gap {
		l.gap, l.gapFrom = true, from
	}
	l.gapTo = to
}

// loseAll starts the client live with a gap from what it asked for.
func (s *shard) loseAll(c *client, from eventID) {
	c.pos = s.cursor()
	s.lose(c, from, s.high.id)
}

// tellGap puts the gap event in front of what follows. It has no ID, so it
// does not move the client's own position.
func (s *shard) tellGap(c *client) {
	l := c.lag
	from := l.gapName
	if from == "" {
		from = wire.FormatID(uint64(l.gapFrom))
	}
	s.keepRest(c, s.lastGap.of(from, l.gapTo)[c.form])
	l.gap, l.gapName = false, ""
	s.n.gaps++
}
