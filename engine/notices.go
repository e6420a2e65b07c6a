package engine

import (
	"context"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/spatehub/spate/ringbuf"
)

const (
	// maxNotices and maxNoticeBytes bound the failures that wait for the callback:
	// their number in the queue, and all that they hold.
	maxNotices     = 8192
	maxNoticeBytes = 32 << 20

	// noticeUsers is how many users of one event share a notice: few enough that
	// callbacks which are slow run side by side.
	noticeUsers = 64
)

// notices brings failures to the user's callback on the worker pool: shards
// put them into a queue without waiting, and as many drainers as the pool has
// workers take them out. When callbacks are so slow that the queue is full,
// further ones are lost and counted.
type notices struct {
	hub   *Hub
	queue *ringbuf.MPMC[notice]
	drain func()

	active limiter
	bytes  atomic.Int64 // held by what waits: frames, names, indices
	lost   atomic.Uint64
}

// notice is a failure of one event for one user, or for several of its crowd.
type notice struct {
	ev    *lostEvent
	uid   string
	users []uint32 // indices in the crowd; nil: uid is the user
}

// noticeBytes is what a notice takes besides its event and its indices.
const noticeBytes = 64

func (m *notice) bytes() int64 { return int64(noticeBytes + 4*len(m.users) + len(m.uid)) }

// receivers is how many callbacks the notice stands for.
func (m *notice) receivers() int { return max(1, len(m.users)) }

func newNotices(h *Hub) *notices {
	n := &notices{hub: h, active: limiter{max: int32(h.cfg.workers)}}
	if h.cfg.failed != nil {
		n.queue = ringbuf.NewMPMC[notice](maxNotices)
		n.drain = n.drainer
	}
	return n
}

// wanted says whether there is a callback.
func (n *notices) wanted() bool { return n.queue != nil }

// tellFailed hands a failure to the callback. It never waits. Called by the
// shard that holds e.
func (h *Hub) tellFailed(uid string, e *entry) {
	if n := h.notices; n.wanted() {
		n.put(e, notice{uid: uid})
	}
}

// tellFailedMany is tellFailed for users of the entry's crowd, by their indices.
func (h *Hub) tellFailedMany(users []uint32, e *entry) {
	if n := h.notices; n.wanted() {
		for some := range slices.Chunk(users, noticeUsers) {
			n.put(e, notice{users: some})
		}
	}
}

// put queues a notice, whose indices it copies, or counts it as lost. Room is
// looked for before anything is copied: this is a shard's time.
func (n *notices) put(e *entry, m notice) {
	if n.queue.Len() >= maxNotices || n.bytes.Load() > maxNoticeBytes {
		n.lost.Add(uint64(m.receivers()))
		return
	}
	m.ev, m.users = n.lose(e), slices.Clone(m.users)
	n.bytes.Add(m.bytes())
	if !n.queue.TryPush(m) {
		n.lost.Add(uint64(m.receivers()))
		n.settle(&m)
		return
	}
	n.start()
}

// settle gives back what the notice holds.
func (n *notices) settle(m *notice) {
	m.ev.drop(n)
	n.bytes.Add(-m.bytes())
}

func (n *notices) start() {
	if n.active.enter() && n.hub.workers.Submit(n.drain) != nil {
		n.active.leave()
	}
}

func (n *notices) drainer() {
	for {
		for {
			m, ok := n.queue.TryPop()
			if !ok {
				break
			}
			n.tell(&m)
		}
		n.active.leave()
		if n.queue.Len() == 0 || !n.active.enter() {
			return
		}
	}
}

// tell makes the callbacks of one notice.
func (n *notices) tell(m *notice) {
	defer n.settle(m)
	if m.users == nil {
		n.call(m.uid, m.ev)
	}
	for _, i := range m.users {
		n.call(m.ev.crowd.names[i], m.ev)
	}
}

// call makes one callback, with an event of its own but for the list of users,
// and survives its panic.
func (n *notices) call(uid string, l *lostEvent) {
	defer func() {
		if p := recover(); p != nil {
			n.hub.cfg.logger.Error("spate: failure callback panicked", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	ev := *l.event()
	n.hub.cfg.failed(uid, &ev)
}

// finish waits until the callbacks are made, or ctx ends; what is left then is
// lost.
func (n *notices) finish(ctx context.Context) {
	if !n.wanted() {
		return
	}
	for n.queue.Len() > 0 || !n.active.idle() {
		n.start()
		select {
		case <-ctx.Done():
			n.giveUp()
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// giveUp empties the queue.
func (n *notices) giveUp() {
	for {
		m, ok := n.queue.TryPop()
		if !ok {
			return
		}
		n.lost.Add(uint64(m.receivers()))
		n.settle(&m)
	}
}
