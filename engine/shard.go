package engine

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/spatehub/spate/ringbuf"
)

const (
	// sendBytes bounds the bytes of one write: enough that the system call is
	// a small part of the cost, small enough to stay in cache.
	sendBytes = 256 << 10
	// maxBatch bounds the events of one fan-out.
	maxBatch = 1024
	// maskedBatch bounds them where some are not for everybody: one bit each.
	maskedBatch = 64
)

// shard owns a part of the clients. It is an actor: a runner of the scheduler
// passes over it while it has work, at most one at a time, so nothing inside
// is locked. Fields below the line belong to that runner.
type shard struct {
	hub    *Hub
	id     int
	bit    uint64
	reader *ringbuf.Reader[entry]

	_     [64]byte
	state atomic.Uint32 // scheduling state: hands the fields below from runner to runner
	ticks atomic.Uint32 // ticks of the hub's clock so far; the ticker adds
	tired atomic.Bool   // what waits for patient clients is to go; their timer sets it
	mail  ringbuf.Mailbox[*client]
	_     [64]byte

	// ---- owned by the runner ----

	books    books
	joins    dearJoins
	early    earlyClients
	troubled troubled
	emptied  *Disconnection // under way or done, after which nobody is let in; or nil
	doomed   []doomedClient // to be ended between two sweeps, in this order
	draining int            // connections that the look under way of drainStep has still to come to
	aging    aging

	dismissing dismissing

	budget
	high     point // events ≤ high are counted as pushed to this shard's clients
	tick     uint32
	occupied bool // as hub.occupied has it
	window   windowing
	patience patience

	fan      fan
	out      outgoing
	marking  marking
	beats    beating
	gathered gathered
	words    words

	errands errands
	serial  uint64 // of the connection that was enrolled last

	n      counters // of this pass
	parted int      // connections that it has ended
	c      sharedCounters

	sample   sampler
	measured measured
}

// doomedClient is a client to be ended, and why.
type doomedClient struct {
	c   *client
	err error
}

func newShard(h *Hub, id int, reader *ringbuf.Reader[entry]) *shard {
	s := &shard{
		hub: h, id: id, bit: 1 << id, reader: reader,
		high: h.origin, window: windowing{size: h.cfg.window}, gathered: gathered{run: gatherer{hub: h}},
	}
	s.c.reached.Store(uint64(h.origin.id))
	s.c.oldest.Store(uint64(h.origin.id))
	s.patience = newPatience(h, s.tire)
	return s
}

// pass does one round: some of what clients and transports ask for, then what
// waits in the ring, each within its budget. It returns whether work is left.
func (s *shard) pass() (more bool) {
	s.beginPass()
	s.runMail()
	more = s.joinDear()
	s.showOccupied()
	if t := s.ticks.Load(); t != s.tick {
		s.onTick(t)
	}
	more = s.heartbeats() || more
	more = s.sweepLaggards() || more
	more = s.endAged() || more
	if trims := &s.troubled.trims; trims.active() {
		s.keepFrom(trims.low, s.cursor())
		s.closeDoomed()
		more = more || trims.active()
	}
	s.endPatience()
	more = s.runRing() || more
	more = s.admitEarly() || more
	s.closeDoomed()
	more = s.runErrands() || more
	if s.hub.life.drains() {
		more = s.drainStep() || more
	}
	s.publishCounters()
	s.endPass()
	return more || len(s.doomed) > 0 || s.troubled.trims.active() || !s.mail.Empty() || !s.errands.inbox.Empty()
}

// runRing delivers what waits in the ring, within its budget. It returns whether
// work is left.
func (s *shard) runRing() (more bool) {
	for end := s.until(liveBudget); ; {
		from, to, ok := s.next(maxBatch)
		if !s.endDismissed() {
			return true
		}
		if !ok {
			return false
		}
		if to = s.deliver(from, to); to.before(from) {
			return true // it is not done with the first of them
		}
		s.closeDoomed() // before the window moves: their callbacks look into it
		s.advance(to)
		if s.charge(writeCost); s.reached(end) { // also where nobody was to be written to
			return true
		}
	}
}

// showOccupied says to publishers whether an event for everybody has to wake the
// shard. It comes between taking clients in and looking at the ring.
func (s *shard) showOccupied() {
	if occupied := s.holdsAny(); occupied != s.occupied {
		s.occupied = occupied
		if occupied {
			s.hub.occupied.Or(s.bit)
		} else {
			s.hub.occupied.And(^s.bit)
		}
	}
}

// runMail handles what was asked of clients since the last pass.
func (s *shard) runMail() {
	s.openMail()
	for i := 0; i < maxMail && !s.mailSpent(); i++ {
		n := s.mail.Take()
		if n == nil {
			return
		}
		s.errands.mails++
		c := n.Value
		s.handle(c, c.flags.Swap(0)) // from here the node may be queued anew
	}
}

func (s *shard) handle(c *client, flags uint32) {
	if flags&attendPage != 0 {
		s.hub.catchup.answered(c)
	}
	if c.state == stateClosed {
		c.flags.Or(attendClosed) // not Store: a reader's answer may have come since
		return
	}
	c.revoked = flags&attendRevoke != 0
	if flags&attendJoin != 0 {
		s.join(c)
	}
	if flags&attendHangup != 0 {
		s.hungUp(c)
		return
	}
	if flags&attendExpire != 0 {
		s.expire(c, ErrExpired)
	}
	if flags&attendRevoke != 0 {
		s.expire(c, ErrRevoked)
	}
	if c.state == stateNew || c.state == stateClosed {
		return
	}
	if flags&attendWritable != 0 && c.lag != nil {
		c.lag.stall.full = false
	}
	if flags&attendPage != 0 && c.state == stateBehind {
		c.lag.history.arrived()
		if !c.lag.stall.stuck {
			c.lag.stall.tick = s.tick // the time until now was ours, not the peer's
		}
	}
	if !c.full() {
		s.proceed(c)
	}
}

// hungUp closes a client whose transport says that the peer is gone.
func (s *shard) hungUp(c *client) {
	err := ErrHangup
	if p := c.hangupErr.Load(); p != nil {
		err = *p
	}
	as := endingOf(err)
	if as == endWrite {
		as = endHangup // the transport's own word for it
	}
	s.closeAs(c, as, err)
}

// expire ends a connection whose time is over, or whose rights are.
func (s *shard) expire(c *client, reason error) {
	switch c.state {
	case stateNew, stateClosed: // the shard is not where it begins: it has got nothing, and is told nothing
		s.close(c, reason)
	default:
		s.end(c, reason)
	}
}

// write offers bytes to the client's sink and counts what that costs.
func (s *shard) write(c *client, p []byte) (int, error) {
	s.charge(writeCost + len(p))
	n, err := c.sink.Write(p)
	n, err = s.checkWrite(p, n, err)
	if c.state == stateBehind {
		c.lag.allowance.bytes -= float64(n)
	}
	return n, err
}

// checkWrite counts what a sink says that it took of p, and corrects what cannot be.
func (s *shard) checkWrite(p []byte, n int, err error) (int, error) {
	if n < 0 || n > len(p) {
		n, err = min(max(n, 0), len(p)), errors.Join(fmt.Errorf("%w: %d of %d bytes", ErrSink, n, len(p)), err)
	}
	s.n[nSentBytes] += uint64(n)
	return n, err
}
