package engine

import "github.com/spatehub/spate/wire"

// place gives a new client its first position: live, in the window, or behind.
func (s *shard) place(c *client) {
	from, resumes := c.pos, c.lag != nil && c.lag.resumes
	s.startLag(c, stateLagging)
	l := c.lag
	l.seen = l.base
	if before(l.base, l.fleeting) {
		l.fleeting = l.base
	}
	oldest, cursor := s.oldest(), s.cursor()

	switch {
	case !resumes && !before(from, oldest-1):
		// A live start: what came since the response head is in the window.
	case l.gapName != "":
		s.loseAll(c, 0)
	case resumes && !s.hub.cfg.resend:
		if from != cursor {
			s.loseAll(c, from)
		}
	case !before(from, oldest-1):
		if before(oldest-1, from) && !s.issued(from) {
			s.lose(c, from, from)
		}
	case s.hub.log != nil:
		s.fallBehind(c)
		l.history.check = resumes
	default:
		s.lose(c, from, oldest-1)
		c.pos = oldest - 1
	}
	if c.state == stateLagging {
		s.enterWindow(c)
	}
	s.proceed(c)
}

// issued says whether the sequence, which the window holds, was given to a
// client as an ID.
func (s *shard) issued(seq uint64) bool {
	e := s.hub.ring.Slot(seq)
	return !e.failed && !e.ephemeral
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
		s.eachWaiting(c, c.pos+1, l.seen, func(*entry) { waiting++ })
		s.n.dropped += uint64(l.queued - waiting)
		l.queued = waiting
	}
	if before(l.seen, s.high) {
		first := l.seen + 1
		if !before(c.pos, first) {
			first = c.pos + 1
		}
		s.eachWaiting(c, first, s.high, func(e *entry) {
			s.n.pushed++
			l.queued++
		})
		l.seen = s.high
	}
	if before(c.pos, s.lagLow) {
		s.lagLow = c.pos
	}
}

// lose notes that history in (from, to] is lost to the client, to be told
// before anything later.
func (s *shard) lose(c *client, from, to uint64) {
	l := c.lag
	if !l.gap {
		l.gap, l.gapFrom = true, from
	}
	l.gapTo = to
}

// loseAll starts the client live with a gap from what it asked for.
func (s *shard) loseAll(c *client, from uint64) {
	c.pos = s.cursor()
	s.lose(c, from, c.pos)
}

// tellGap puts the gap event in front of what follows. It has no ID, so it
// does not move the client's own position.
func (s *shard) tellGap(c *client) {
	l := c.lag
	from := l.gapName
	if from == "" {
		from = wire.FormatID(l.gapFrom)
	}
	s.keepRest(c, s.lastGap.of(from, l.gapTo)[c.form])
	l.gap, l.gapName = false, ""
	s.n.gaps++
}
