package engine

import (
	"runtime"
	"sync/atomic"

	"github.com/spatehub/spate/ringbuf"
)

const (
	// sendBytes bounds the bytes of one write: enough that the system call is
	// a small part of the cost, small enough to stay in cache.
	sendBytes = 256 << 10
	// maxBatch bounds the events of one fan-out.
	maxBatch = 1024
	// maxMail bounds the clients looked at in one pass: however many resume,
	// and however fast the log's readers answer, the ring gets its turn.
	maxMail = 256
	// maskedBatch bounds them where some are not for everybody: one bit each.
	maskedBatch = 64
	// passBudget is what a shard spends before it lets other goroutines of the
	// processor go first, so that a sweep over very many clients keeps nobody
	// else's private event waiting. A write costs writeCost and its bytes.
	passBudget = 256 << 10
	writeCost  = 2 << 10
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
	mail  ringbuf.Mailbox[*client]
	_     [64]byte

	// ---- owned by the runner ----

	clients  []*client
	users    map[string]*client // first connection of each user
	topics   map[string]*topic
	early    []*client // joined, but the shard has not reached their position
	laggards []*client // lagging, behind, or with rest to send
	doomed   []doomedClient

	high   uint64 // events ≤ high are counted as pushed to this shard's clients
	lagLow uint64 // no lagging client's pos is below
	tick   uint32
	budget int // left until the next yield

	join    joined   // the batch for everybody
	variant variants // the batch by audience
	touched []*client
	gather  joined // for one client
	newest  map[conflationKey]uint64
	skipped []uint64 // events that gatherWindow left out, because newer ones replace them
	spare   *lag     // of the client that recovered last, for the next in trouble

	lagShown bool // Stats shows clients in trouble

	n counters // of this pass
	c sharedCounters
}

// doomedClient is a client to be closed once the sweep that found it is over.
type doomedClient struct {
	c   *client
	err error
}

func newShard(h *Hub, id int, reader *ringbuf.Reader[entry]) *shard {
	return &shard{
		hub: h, id: id, bit: 1 << id, reader: reader,
		users: map[string]*client{}, topics: map[string]*topic{},
		high: reader.Cursor(), budget: passBudget,
	}
}

// pass does one round: what clients and transports ask for, then a batch from
// the ring. It returns whether work is left.
func (s *shard) pass() (more bool) {
	s.runMail()
	if t := s.ticks.Load(); t != s.tick {
		s.onTick(t)
	}
	if from, to, ok := s.reader.TryNext(maxBatch); ok {
		to = s.deliver(from, to)
		s.closeDoomed() // before the window moves: their callbacks look into it
		s.advance(to)
		more = true
	}
	if len(s.early) > 0 {
		s.admitEarly()
	}
	s.closeDoomed()
	if s.hub.closing.Load() {
		s.drainStep()
	}
	s.publishCounters()
	return more || !s.mail.Empty()
}

// advance publishes the shard's position and lets go of history that the
// window no longer covers. Clients that would lose their place are moved on
// first.
func (s *shard) advance(to uint64) {
	low := s.historyAt(to)
	if len(s.laggards) > 0 && before(s.lagLow+1, low) {
		s.trim(low)
	}
	s.reader.Advance(to)
	s.reader.Hold(low)
}

// historyAt returns the oldest sequence that the shard keeps once it is at to:
// the window's, or a later one where frames are so large that the ring holds
// too many bytes; then the latest ringBytes of them stay.
func (s *shard) historyAt(to uint64) uint64 {
	low := to + 1 - uint64(s.hub.cfg.window)
	room := s.hub.cfg.ringBytes
	if s.hub.frames.held.Load() <= room {
		return low
	}
	if oldest := s.oldest(); before(low, oldest) {
		low = oldest
	}
	for seq := to + 1; seq != low; seq-- {
		if room -= int64(len(s.hub.ring.Slot(seq - 1).buf.B)); room < 0 {
			return seq
		}
	}
	return low
}

// cursor is the shard's position: every event ≤ it has been through deliver.
func (s *shard) cursor() uint64 { return s.reader.Cursor() }

// oldest is the lowest sequence that the shard may still read in the ring.
func (s *shard) oldest() uint64 { return s.reader.Held() }

// runMail handles what was asked of clients since the last pass.
func (s *shard) runMail() {
	for range maxMail {
		n := s.mail.Take()
		if n == nil {
			return
		}
		c := n.Value
		s.handle(c, c.flags.Swap(0)) // from here the node may be queued anew
	}
}

func (s *shard) handle(c *client, flags uint32) {
	if c.state == stateClosed {
		c.flags.Store(attendClosed)
		return
	}
	if flags&attendJoin != 0 {
		s.admit(c)
	}
	if flags&attendHangup != 0 {
		err := ErrHangup
		if p := c.hangupErr.Load(); p != nil {
			err = *p
		}
		s.close(c, err)
		return
	}
	if c.state == stateNew || c.state == stateClosed {
		return
	}
	if flags&attendWritable != 0 {
		c.blocked = false
	}
	if flags&attendPage != 0 && c.state == stateBehind {
		c.lag.history.arrived()
		if !c.lag.stuck {
			c.lag.stallTick = s.tick // the time until now was ours, not the peer's
		}
	}
	if !c.blocked {
		s.proceed(c)
	}
}

// spend takes a write of n bytes from the budget and returns whether it is used
// up, when it starts anew.
func (s *shard) spend(n int) bool {
	if s.budget -= writeCost + n; s.budget > 0 {
		return false
	}
	s.budget = passBudget
	return true
}

// yield lets other goroutines run once in a while within a long sweep.
func (s *shard) yield(n int) {
	if s.spend(n) {
		runtime.Gosched()
	}
}

// before compares sequences on their circle.
func before(a, b uint64) bool { return int64(a-b) < 0 }
