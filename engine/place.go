package engine

import "github.com/spatehub/spate/wire"

// place brings a new client to where its seat is: in the window, or behind. Where
// the beginning lies is decided already; see Hub.begin.
func (s *shard) place(c *client) {
	resumes := c.lag != nil && c.lag.resumes
	s.startLag(c, stateLagging)
	l := c.lag
	l.resumes = false
	if l.base.pos.before(l.fleeting) {
		l.fleeting = l.base.pos
	}
	switch {
	case !resumes && !c.pos.before(s.oldest()-1):
		// A live start: what came since is in the window.
	case c.id >= s.oldestID():
		c.pos = s.find(c.id)
	case s.hub.log != nil:
		s.fallBehind(c, c.id)
	default:
		c.pos = s.oldest() - 1
		s.lose(c, c.id, s.idAt(c.pos))
	}
	if c.state == stateLagging {
		s.enterWindow(c, l.base)
	}
	s.proceed(c)
}

// enterWindow counts what of the window waits for a client that comes from the
// log; events ≤ seen are counted as pushed to it. New clients have nothing: what is
// before them is resent, not delivered.
func (s *shard) enterWindow(c *client, seen point) {
	l := c.lag
	c.state, l.history = stateLagging, nil
	if l.queue.events > 0 {
		// It was counted as pushed before the client turned to the log. What
		// neither came from there nor is still to come from the window is lost:
		// to retention, or, being ephemeral, for want of a log.
		waiting := 0
		s.eachWaiting(c, c.pos+1, seen.pos, func(*entry) { waiting++ })
		s.n[nDropped] += uint64(l.queue.events - waiting)
		l.queue.take(l.queue.events-waiting, 0)
	}
	if seen.pos.before(s.high.pos) {
		first := seen.pos + 1
		if !c.pos.before(first) {
			first = c.pos + 1
		}
		s.eachWaiting(c, first, s.high.pos, func(e *entry) {
			s.n[nPushed]++
			l.queue.add(1, 0)
		})
	}
	s.troubled.lags(c.pos)
}

// gap is history that is lost to a client.
type gap struct {
	told     bool    // it is to be told
	from, to eventID // what is lost lies in (from, to]
	name     string  // what the client sent where it is no ID that counts
}

// data is the gap as the client reads it.
func (g gap) data() Gap {
	from := g.name
	if from == "" {
		from = wire.FormatID(uint64(g.from))
	}
	return Gap{From: from, To: wire.FormatID(uint64(g.to))}
}

// lose notes that history in (from, to] is lost to the client, to be told
// before anything later. Where no ID lies between, nothing is: what went was
// ephemeral.
func (s *shard) lose(c *client, from, to eventID) {
	g := &c.lag.gap
	if to <= from && !g.told {
		return
	}
	if !g.told {
		*g = gap{told: true, from: from}
	}
	g.to = max(g.to, to) // the seat may have told of more
}

// tellGap puts the gap event in front of what follows. It has no ID, so it
// does not move the client's own position.
func (s *shard) tellGap(c *client) {
	s.keepRest(c, s.word(s.words.gap.of(c.lag.gap.data()), c.form))
	c.lag.gap = gap{}
	s.n[nGaps]++
}
