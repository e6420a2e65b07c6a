package engine

import (
	"sync/atomic"
	"time"
)

// This file lets events wait a little for others, so that they share a write to each
// connection: the shards deliver up to a gate, which a timer moves. The first event
// behind the gate sets the timer; so none waits longer than it, and where many come, a
// write holds all that came meanwhile. A gate is a position: what is behind it is
// delivered as if it had come later, in order and to the same receivers.

// maxLinger bounds the wait.
const maxLinger = time.Second

// WithLinger lets an event wait up to d, at most a second, from when it could be
// delivered, to share a write to each connection with those that come meanwhile. 0, the
// default, is not at all. With d, delivery takes the time of a delivery for each d, and
// not for each event. The hub's end, and an event that is urgent, wait for nothing.
//
// urgent says of an event by its audience that it must not wait; those before it then go
// with it, to the shards that it concerns. It is called by publishers, before the event
// has an ID, and must not block. nil is no event. It holds for [WithPatience] too, also
// where d is 0.
func WithLinger(d time.Duration, urgent func(private bool, topic string) bool) HubOption {
	return func(c *config) { c.linger, c.urgent = d, urgent }
}

// linger is the gate of a hub whose events may wait.
type linger struct {
	hub  *Hub
	time time.Duration
	most position // so many wait, then they go

	gate  atomic.Uint64 // shards deliver up to this position
	last  atomic.Uint64 // what waits ends here
	mask  atomic.Uint64 // whom it concerns, by bit
	open  atomic.Bool   // for good: the hub ends
	timer *time.Timer

	// armed says that the timer is set. Who waits notes itself in last, then in mask, and
	// then arms it; when it fires it is disarmed first, and mask is taken, then last is
	// read. So either of the two sees the other, and who takes a bit lets go what it is for.
	armed atomic.Bool
}

// newLinger returns nil where nothing waits.
func newLinger(h *Hub) *linger {
	if h.cfg.linger <= 0 {
		return nil
	}
	l := &linger{hub: h, time: h.cfg.linger, most: position(min(h.cfg.buffer/8, maxBatch))}
	l.gate.Store(uint64(h.origin.pos))
	l.last.Store(uint64(h.origin.pos))
	l.timer = time.AfterFunc(time.Hour, l.fire)
	l.timer.Stop()
	return l
}

// isUrgent says whether an event must not wait.
func (h *Hub) isUrgent(private bool, topic string) bool {
	return h.cfg.urgent != nil && h.cfg.urgent(private, topic)
}

// pass decides whether the events from..to, which can be delivered, go at once, and
// to which shards: those that others wait for too, if they go with them.
func (l *linger) pass(from, to position, mask uint64, urgent bool) (_ uint64, now bool) {
	if l.open.Load() {
		return mask, true
	}
	if urgent {
		raise(&l.gate, to)
	}
	gate := position(l.gate.Load())
	if !gate.before(from) {
		return mask, true
	}
	raise(&l.last, to)
	l.mask.Or(mask)
	if to-gate >= l.most || l.hub.frames.held.Load() > l.hub.cfg.ringBytes {
		_, _, mask = l.release()
		return mask, true
	}
	if l.armed.CompareAndSwap(false, true) {
		l.timer.Reset(l.time)
	}
	return mask, l.open.Load() // which may have come since
}

// fire lets what waits go. It may come at any time.
func (l *linger) fire() {
	l.armed.Store(false)
	if l.open.Load() {
		return // nothing waits any more
	}
	if from, to, mask := l.release(); mask != 0 {
		l.hub.wakeNow(from, to, mask)
	}
}

// release opens the gate for all that waits, from..to, and returns whom it concerns.
func (l *linger) release() (from, to position, mask uint64) {
	mask = l.mask.Swap(0)
	from, to = position(l.gate.Load())+1, position(l.last.Load())
	raise(&l.gate, to)
	return from, to, mask
}

// hurry lets what waits go, but for waking the shards.
func (l *linger) hurry() {
	if l != nil {
		raise(&l.gate, position(l.last.Load()))
	}
}

// joins has a shard be woken with what waits, for a connection that waits behind it.
func (l *linger) joins(s *shard) {
	if l != nil {
		l.mask.Or(s.bit)
	}
}

// end opens the gate for good.
func (l *linger) end() {
	if l != nil {
		l.open.Store(true)
		l.timer.Stop()
	}
}

// room is how many positions a shard that is at one may go on.
func (l *linger) room(at position, most int) int {
	if l == nil || l.open.Load() {
		return most
	}
	if gate := position(l.gate.Load()); at.before(gate) {
		return min(most, int(gate-at))
	}
	return 0
}

// raise moves a position on, never back.
func raise(p *atomic.Uint64, to position) {
	for {
		old := p.Load()
		if !position(old).before(to) || p.CompareAndSwap(old, uint64(to)) {
			return
		}
	}
}
