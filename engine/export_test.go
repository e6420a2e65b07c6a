package engine

import (
	"fmt"
	"runtime"
)

// AtRest reports whether nothing is under way: every shard has seen all events
// and requests, and no client waits for a page of the log. Clients that wait
// for their sink, or for the clock, are at rest. It wakes the shards that no
// event concerned, which would wait for the clock, and lets go what lingers or waits for
// patient clients.
func AtRest(h *Hub) bool {
	h.linger.hurry()
	for _, s := range h.shards {
		s.tired.Store(true)
	}
	rest := AtRestButPatient(h)
	inside(h, func(s *shard) { rest = rest && !s.patience.waits })
	return rest
}

// AtRestButPatient is AtRest that leaves what waits for patient clients.
func AtRestButPatient(h *Hub) bool {
	h.wakeMask(h.all)
	runtime.Gosched()
	if h.life.pushers.Load() != 0 {
		return false
	}
	rest := true
	inside(h, func(s *shard) {
		if !s.mail.Empty() || s.reader.Cursor() != h.ring.Claimed() || len(s.early.list) > 0 || len(s.joins.list) > 0 {
			rest = false
		}
		for _, c := range s.troubled.list {
			if c.state == stateBehind && c.lag.history.asked {
				rest = false
			}
		}
	})
	return rest
}

// Waiting returns how many events wait for patient clients, in all shards.
func Waiting(h *Hub) (n int) {
	inside(h, func(s *shard) {
		if p := &s.patience; p.waits {
			n += int(s.cursor() - p.at)
		}
	})
	return n
}

// ShardOf returns the number of a user's shard.
func ShardOf(h *Hub, uid string) int { return h.shardOf(uid) }

// Idle reports whether no shard has anything to do until it is woken.
func Idle(h *Hub) bool {
	for _, s := range h.shards {
		if s.state.Load() != shardIdle {
			return false
		}
	}
	return true
}

// Early returns how many connections wait for a shard to reach where they begin,
// closed ones that are not forgotten yet among them.
func Early(h *Hub) (n int) {
	inside(h, func(s *shard) { n += len(s.early.list) })
	return n
}

// Lent returns how many frame buffers are out of the pool; checked builds only.
func Lent(h *Hub) (n int64, counted bool) { return h.frames.lent.Load(), checked }

// Pushers returns how many pushes are under way.
func Pushers(h *Hub) int64 { return h.life.pushers.Load() }

// HeldBytes returns the bytes that the ring holds, frames and names.
func HeldBytes(h *Hub) int64 { return h.frames.held.Load() }

// Hold counts bytes as if the ring held them, and takes them back when they are negative.
func Hold(h *Hub, n int64) { h.frames.held.Add(n) }

// Hungry returns how many pushes have waited for room for long.
func Hungry(h *Hub) int { return int(h.frames.hungry.Load()) }

// NoticeBytes returns the bytes that wait for failure callbacks.
func NoticeBytes(h *Hub) int64 { return h.notices.bytes.Load() }

// WithSweepBudget sets what a look at many clients may cost in one go.
func WithSweepBudget(n int) HubOption { return func(c *config) { c.sweep = n } }

// WithMarkBudget sets what the marks of an event's users may cost in one go.
func WithMarkBudget(n int) HubOption { return func(c *config) { c.marks = n } }

// WithRingBytes sets the bound of HeldBytes for history; publishers wait at
// MemoryFactor times it.
func WithRingBytes(n int64) HubOption { return func(c *config) { c.ringBytes = n } }

const MemoryFactor = memoryFactor

// The bounds of one push's events and of one client's queue.
func QueueLen(h *Hub) int { return h.cfg.queue() }

// inside calls fn as each shard's runner, one after the other, so that fn may
// look at what only a runner may.
func inside(h *Hub, fn func(*shard)) {
	for _, s := range h.shards {
		for !s.state.CompareAndSwap(shardIdle, shardRunning) {
			runtime.Gosched()
		}
		fn(s)
		if !s.state.CompareAndSwap(shardRunning, shardIdle) {
			s.state.Store(shardQueued)
			h.sched.queue(s)
		}
	}
}

// Inside calls fn while the hub's only shard does not run.
func Inside(h *Hub, fn func()) {
	if len(h.shards) != 1 {
		panic("for a hub of one shard")
	}
	inside(h, func(*shard) { fn() })
}

// Footprint returns how many bytes of events a connection keeps for itself.
func Footprint(h *Hub, sub Subscriber) (n int) {
	inside(h, func(s *shard) {
		c := sub.c
		if c.shard != s {
			return
		}
		if c.owes() {
			n += len(c.lag.rest.B)
		}
		if c.lag == nil || c.lag.history == nil {
			return
		}
		hist := c.lag.history
		n += hist.kept.bytes
		if hist.private != nil {
			n += hist.private.cost("")
		}
		if p := hist.found.public; p != nil {
			n += p.cost("")
		}
	})
	return n
}

// StateOf returns the name of the connection's state.
func StateOf(h *Hub, sub Subscriber) (name string) {
	inside(h, func(s *shard) {
		if sub.c.shard == s {
			name = [...]string{"new", "live", "patient", "lagging", "behind", "leaving", "closed"}[sub.c.state]
		}
	})
	return name
}

// Audit looks for what must hold in every shard between two passes.
func Audit(h *Hub) (err error) {
	inside(h, func(s *shard) {
		if e := s.audit(); err == nil {
			err = e
		}
	})
	return err
}

// audit checks the books: who is where, and that what is counted as waiting is
// what the ring holds for the client.
func (s *shard) audit() error {
	if s.high.pos != s.cursor() {
		return fmt.Errorf("shard %d: high is %v at position %d", s.id, s.high, s.cursor())
	}
	if p := &s.patience; p.waits && ((p.at+1).before(s.oldest()) || !p.at.before(s.cursor())) || !p.waits && len(p.hasty)+p.bytes > 0 {
		return fmt.Errorf("shard %d at %d, its window from %d: what waits for patient clients is %+v", s.id, s.cursor(), s.oldest(), p)
	}
	lagging, pending := 0, 0
	for i, c := range s.books.clients {
		switch {
		case int(c.index) != i:
			return fmt.Errorf("client %d has index %d", i, c.index)
		case c.bits != 0 && s.marking.next == 0:
			return fmt.Errorf("client %d has bits of a past batch", i)
		case c.state == stateNew || c.state >= stateLeaving:
			return fmt.Errorf("client %d is listed in state %d", i, c.state)
		case c.live() && c.lag != nil:
			return fmt.Errorf("client %d is live with lag %v", i, c.lag)
		case (c.state == statePatient && !c.patient) || c.state == stateLive && c.patient && (!s.patience.waits || !c.hasty):
			return fmt.Errorf("client %d is in state %d, patient %v, hasty %v", i, c.state, c.patient, c.hasty)
		case c.live():
			continue
		}
		lagging++
		if err := s.auditLag(c); err != nil {
			return fmt.Errorf("client %d of shard %d in state %d: %w", i, s.id, c.state, err)
		}
		pending += c.lag.queue.events
	}
	for i, c := range s.troubled.list {
		if err := auditState(c); err != nil {
			return fmt.Errorf("client %d in trouble of shard %d in state %d: %w", i, s.id, c.state, err)
		}
	}
	leaving, waits, err := s.auditLeaving()
	if err != nil {
		return err
	}
	pending += waits
	if lagging+leaving != len(s.troubled.list) || leaving != s.troubled.leaving {
		return fmt.Errorf("%d clients lag, %d leave, %d are listed", lagging, leaving, len(s.troubled.list))
	}
	n := &s.c
	counts := n.counts()
	if open := counts[nPushed] - counts.settled(); open != uint64(pending) {
		return fmt.Errorf("shard %d: %d events wait by the counters, %d by the clients", s.id, int64(open), pending)
	}
	return s.books.topics.Audit(func(c *client) error {
		if s.books.clients[c.index] != c {
			return fmt.Errorf("shard %d: who follows a topic is no client", s.id)
		}
		return nil
	})
}

// auditState checks that a client in trouble has nothing of a state that it is not in.
func auditState(c *client) error {
	l := c.lag
	switch {
	case l.resumes:
		return fmt.Errorf("it was placed, and resumes")
	case c.state != stateLagging && (l.retry.active() || l.retry.to != 0 || l.retry.marks != nil):
		return fmt.Errorf("it tries from %d", l.retry.from)
	case (c.state == stateBehind) != (l.history != nil):
		return fmt.Errorf("its history is %v", l.history)
	case (c.state == stateLeaving) != (l.leaving.reason != nil):
		return fmt.Errorf("it leaves for %v", l.leaving.reason)
	}
	return nil
}

// auditLeaving checks the clients that are told why they end: they wait for
// their sink, with nothing but the frame under way.
func (s *shard) auditLeaving() (leaving, pending int, err error) {
	for _, c := range s.troubled.list {
		if c.state != stateLeaving {
			continue
		}
		leaving++
		pending += c.lag.queue.events
		want := c.lag.pending()
		switch l := c.lag; {
		case l.queue.events != want:
			return 0, 0, fmt.Errorf("%d events wait for a client that leaves with rest of %v", l.queue.events, l.partial)
		case l.gap.told:
			return 0, 0, fmt.Errorf("a client that leaves keeps %+v", l)
		case !c.full():
			return 0, 0, fmt.Errorf("a client that leaves waits for nothing")
		}
	}
	return leaving, pending, nil
}

func (s *shard) auditLag(c *client) error {
	l := c.lag
	switch {
	case s.troubled.list[l.index] != c:
		return fmt.Errorf("lag index %d is another's", l.index)
	case l.queue.events < 0:
		return fmt.Errorf("%d events wait", l.queue.events)
	case l.partial.set && l.rest == nil:
		return fmt.Errorf("rest of %v is gone", l.partial)
	case s.cursor().before(c.pos):
		return fmt.Errorf("position %d is ahead of %d", c.pos, s.cursor())
	case c.state == stateBehind:
		return nil
	case c.pos.before(s.troubled.low):
		return fmt.Errorf("position %d is below the lowest, %d", c.pos, s.troubled.low)
	case (c.pos + 1).before(s.oldest()):
		return fmt.Errorf("position %d has left the window from %d", c.pos, s.oldest())
	}
	waiting := 0
	s.eachWaiting(c, c.pos+1, s.high.pos, func(*entry) { waiting++ })
	waiting += l.pending()
	if waiting != l.queue.events {
		return fmt.Errorf("%d events wait, %d are counted (pos %d, base %v, high %v, rest %v, retry %d..%d)",
			waiting, l.queue.events, c.pos, l.base, s.high, l.partial, l.retry.from, l.retry.to)
	}
	return nil
}

// Leaving returns how many connections are told that they end and have not taken it.
func Leaving(h *Hub) (n int) {
	inside(h, func(s *shard) { n += s.troubled.leaving })
	return n
}
