package engine

import (
	"math/bits"
	"sync/atomic"

	"github.com/spatehub/spate/wire"
	"github.com/valyala/bytebufferpool"
)

// entry is one event in its ring slot. The publisher fills it between claim
// and publish; afterwards the journal may set failed before it advances, and
// everybody else only reads, until the ring releases the slot. There is no
// reference count: a reader that may still look at a slot holds it.
type entry struct {
	buf *bytebufferpool.ByteBuffer // frame with its ID, as a chunk; owned by the slot

	id   eventID // 0: ephemeral, not for the log
	prev eventID // the highest ID before this event

	one   [1]string // the audience's only user
	crowd *crowd    // the audience where there are several
	topic string
	key   string

	mask uint64 // shards that may have receivers, by bit

	// wait is told when the push is decided; nil without a log. Published with
	// the slot; atomic for Shutdown, which looks at slots it does not hold.
	wait atomic.Pointer[commitWait]

	off   uint8 // where the frame starts in buf, at most frameRoom
	chunk uint8 // where its chunk starts in buf; it ends with buf

	private bool // one or crowd is the audience
	counted bool // the crowd is counted with this event: see held
	last    bool // last of its push: a journal batch ends only here
	failed  bool // the log did not take it; set by the journal before it advances
	urgent  bool // it does not linger

	// lost is the copy for failure callbacks, where one was needed. A shard that
	// holds the slot sets it; dead ones are replaced.
	lost atomic.Pointer[lostEvent]

	// tally collects, for an event that is not private, the verdict of the
	// shards in mask: each subtracts one from the low half, and adds one to the
	// high half where it had a receiver. Whoever brings the low half to zero
	// learns whether anybody received the event.
	tally atomic.Uint64
}

const tallyReceiver = 1 << 32

// ephemeral says whether the event has no ID and is not for the log.
func (e *entry) ephemeral() bool { return e.id == 0 }

// upTo is the highest ID up to and with this event.
func (e *entry) upTo() eventID { return max(e.id, e.prev) }

// frame returns the event's plain frame, valid while the slot is held.
func (e *entry) frame() []byte { return e.buf.B[e.off : len(e.buf.B)-len(wire.ChunkEnd)] }

// in returns the event as a connection of the form gets it, but for its coding,
// valid while the slot is held.
func (e *entry) in(f Form) []byte {
	if f == FormChunked {
		return e.buf.B[e.chunk:]
	}
	return e.frame()
}

// weight is what the event counts as where it waits for a connection of the form.
func (e *entry) weight(f Form) int {
	if f.coded() {
		return len(e.frame())
	}
	return len(e.in(f))
}

// seal puts the event's ID, unless it has none, and the size of its chunk into
// the room in front of its body.
func (e *entry) seal() {
	off := frameRoom
	if !e.ephemeral() {
		off = chunkRoom + wire.PutID(e.buf.B[chunkRoom:frameRoom], uint64(e.id))
	}
	e.off = uint8(off)
	e.chunk = uint8(wire.PutChunk(e.buf.B, off, len(e.buf.B)-off-len(wire.ChunkEnd)))
}

// frameRoom is what is kept free in front of an event's body.
const frameRoom = chunkRoom + wire.IDHeadroom

// lookCost is what a look at whether the entry is for a client costs: in a crowd
// the user is searched for.
func (e *entry) lookCost() int {
	if e.crowd == nil {
		return lookCost
	}
	return lookCost + 16*bits.Len(uint(len(e.crowd.names)))
}

// audience returns the users as a log records them: nil for everyone.
func (e *entry) audience() []string {
	if !e.private {
		return nil
	}
	if e.crowd != nil {
		return e.crowd.names
	}
	return e.one[:]
}

// held returns the bytes that the hub counts for the slot.
func (e *entry) held() int64 {
	var c *crowd
	if e.counted {
		c = e.crowd
	}
	return heldBytes(e.buf, e.topic, e.key, e.one[0], c)
}

// heldBytes returns what a slot holds: the whole of its buffer, which may have
// been lent for a larger frame before, the names, and a crowd if it counts here.
func heldBytes(b *bytebufferpool.ByteBuffer, topic, key, user string, c *crowd) int64 {
	held := int64(cap(b.B) + len(topic) + len(key) + len(user))
	if c != nil {
		held += c.size
	}
	return held
}

// release gives the slot's buffer back and lets go of everything it refers to.
func (e *entry) release(pool *framePool) {
	pool.put(e.buf)
	e.buf, e.crowd = nil, nil
	if e.wait.Load() != nil {
		e.wait.Store(nil)
	}
	if e.lost.Load() != nil {
		e.lost.Store(nil)
	}
	e.one[0], e.topic, e.key = "", "", ""
	e.id, e.prev, e.mask = 0, 0, 0
	e.private, e.counted, e.last, e.failed, e.urgent = false, false, false, false, false
}
