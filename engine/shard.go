package engine

import (
	"runtime"
	"sync/atomic"

	"github.com/spatehub/spate/engine/internal/topics"
	"github.com/spatehub/spate/ringbuf"
)

const (
	// sendBytes bounds the bytes of one write: enough that the system call is
	// a small part of the cost, small enough to stay in cache.
	sendBytes = 256 << 10
	// maxBatch bounds the events of one fan-out.
	maxBatch = 1024
	// maxMail and mailBudget bound the clients looked at in one pass, and what
	// is written to them: however many resume, and however fast the log's
	// readers answer, the ring gets its turn.
	maxMail    = 256
	mailBudget = 512 << 10
	// sweepBudget is what a look at many clients may cost in one go: those in
	// trouble, early ones, those to be ended with the hub.
	sweepBudget = 512 << 10
	// markBudget is what marking the users of several events may cost before they
	// are delivered.
	markBudget = 512 << 10
	// liveBudget is what fan-outs may cost in one pass, after the first one.
	liveBudget = 2 << 20
	// maskedBatch bounds them where some are not for everybody: one bit each.
	maskedBatch = 64
	// What is looked at costs too, in the unit of a byte that is written: a look at
	// an entry of the window, at one user of an audience, at one topic of a
	// client that comes or goes.
	lookCost  = 32
	markCost  = 128
	topicCost = 256
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
	topics   topics.Index[*client]
	sets     []*topics.Set[*client] // of the event being marked
	early    []*client              // joined, but the shard has not reached their position
	laggards []*client              // lagging, behind or leaving
	leaving  int                    // of them; not in clients any more
	only     int                    // clients that want nothing that is for everybody
	doomed   []doomedClient
	sweep    int      // laggards that the tick has not looked at yet: those of a lower index
	trims    trimming // of laggards
	window   int      // as the reader has it
	earlyAt  position // where the shard was when it looked at the early ones

	goneEarly int // early ones that were closed, about

	high    point    // events ≤ high are counted as pushed to this shard's clients
	lagLow  position // no lagging client's pos is below
	tick    uint32
	cost    int // of all writes so far: writeCost and the bytes for each
	yieldAt int // cost at which to let others go first
	mailEnd int // cost at which the pass has spent enough on its mail

	join         [forms]joined // the batch for everybody, in the forms asked for so far
	coded        codedBatch    // the same, or what of it is for some, in stretches
	variant      variants      // the batch by audience and form
	touched      []*client
	offline      []uint32 // of the audience being marked, by index
	gather       gatherer // for one client
	spoken       []byte   // a word of the hub's own, coded
	lastGap      gapWord  // the gap told last
	lastFarewell farewellWord
	newest       map[conflationKey]position
	skipped      []position // events that gatherWindow left out, because newer ones replace them
	spare        *lag       // of the client that recovered last, for the next in trouble

	occupied bool // as hub.occupied has it
	lagShown bool // Stats shows clients in trouble
	tight    tightHistory

	n counters // of this pass
	c sharedCounters
}

// doomedClient is a client to be ended once the sweep that found it is over.
type doomedClient struct {
	c   *client
	err error
}

func newShard(h *Hub, id int, reader *ringbuf.Reader[entry]) *shard {
	s := &shard{
		hub: h, id: id, bit: 1 << id, reader: reader,
		users: map[string]*client{},
		high:  h.origin, window: h.cfg.window, gather: gatherer{hub: h},
	}
	s.c.reached.Store(uint64(h.origin.id))
	s.c.oldest.Store(uint64(h.origin.id))
	return s
}

// pass does one round: some of what clients and transports ask for, then what
// waits in the ring, each within its budget. It returns whether work is left.
func (s *shard) pass() (more bool) {
	s.runMail()
	s.showOccupied()
	if t := s.ticks.Load(); t != s.tick {
		s.onTick(t)
	}
	more = s.sweepLaggards()
	if s.trims.left > 0 {
		s.keepFrom(s.trims.low, s.cursor())
		s.closeDoomed()
		more = more || s.trims.left > 0
	}
	more = s.runRing() || more
	more = s.admitEarly() || more
	s.closeDoomed()
	if s.hub.life.drains() {
		more = s.drainStep() || more
	}
	s.publishCounters()
	return more || s.trims.left > 0 || !s.mail.Empty()
}

// runRing delivers what waits in the ring, within its budget. It returns whether
// work is left.
func (s *shard) runRing() (more bool) {
	for end := s.cost + liveBudget; ; {
		from, to, ok := s.next(maxBatch)
		if !ok {
			return false
		}
		to = s.deliver(from, to)
		s.closeDoomed() // before the window moves: their callbacks look into it
		s.advance(to)
		if s.cost += writeCost; s.cost >= end { // also where nobody was to be written to
			return true
		}
	}
}

// showOccupied says to publishers whether an event for everybody has to wake the
// shard. It comes between taking clients in and looking at the ring.
func (s *shard) showOccupied() {
	if occupied := len(s.clients)+len(s.early) > 0; occupied != s.occupied {
		s.occupied = occupied
		if occupied {
			s.hub.occupied.Or(s.bit)
		} else {
			s.hub.occupied.And(^s.bit)
		}
	}
}

// advance publishes the shard's position and lets go of history that the
// window no longer covers. Clients that would lose their place are moved on
// first.
func (s *shard) advance(to position) {
	s.keepFrom(s.historyAt(to), to)
}

// keepFrom moves the shard to its position, and its window's beginning to low or,
// while clients wait to be moved on, not as far: the window is wider then, but never
// so wide that there would be no room for a push.
func (s *shard) keepFrom(low, to position) {
	window := s.hub.cfg.window
	// Again where low has moved in the middle.
	for len(s.laggards) > 0 && (s.lagLow + 1).before(low) {
		most := position(s.hub.ring.Cap() - s.hub.cfg.queue())
		if !s.trim(low, to-s.lagLow >= most) {
			low, window = s.lagLow+1, max(window, int(to-s.lagLow))
		}
	}
	if len(s.laggards) == 0 {
		s.trims.left = 0 // those still to be looked at have gone
	}
	if window != s.window {
		s.window = window
		s.reader.SetWindow(window)
	}
	s.reader.Advance(uint64(to))
	s.reader.Hold(uint64(low))
}

// historyAt returns the oldest position that the shard keeps once it is at to:
// the window's, or a later one where frames or audiences are so large that the
// ring holds too many bytes; then the latest ringBytes of them stay. The sum is carried
// from one call to the next, so that an event costs the same in any ring.
func (s *shard) historyAt(to position) position {
	low := to + 1 - position(s.hub.cfg.window)
	held, room := s.hub.frames.held.Load(), s.hub.cfg.ringBytes
	t := &s.tight
	if t.on = held > room || t.on && held > room/2; !t.on {
		*t = tightHistory{}
		return low
	}
	from := s.cursor() + 1
	if t.low == 0 {
		t.low, from = s.oldest(), s.oldest()
	}
	for seq := from; seq != to+1; seq++ {
		t.sum += s.heldBytes(seq)
	}
	for t.low.before(low) || t.sum > room && t.low != to+1 {
		t.sum -= s.heldBytes(t.low)
		t.low++
	}
	return t.low
}

// tightHistory is the history of a shard while the ring holds too many bytes:
// sum is that of low up to the shard's position.
type tightHistory struct {
	on  bool
	low position
	sum int64
}

func (s *shard) heldBytes(p position) int64 { return s.hub.slot(p).held() }

// runMail handles what was asked of clients since the last pass.
func (s *shard) runMail() {
	s.mailEnd = s.cost + mailBudget
	for i := 0; i < maxMail && s.cost < s.mailEnd; i++ {
		n := s.mail.Take()
		if n == nil {
			return
		}
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
		s.admit(c)
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
	s.cost += writeCost + len(p)
	return c.sink.Write(p)
}

// spend counts work other than writing, and lets others go first where it is
// much.
func (s *shard) spend(cost int) {
	s.cost += cost
	s.yield()
}

// yield lets other goroutines run once in a while within a long sweep.
func (s *shard) yield() {
	if s.cost >= s.yieldAt {
		s.yieldAt = s.cost + passBudget
		runtime.Gosched()
	}
}
