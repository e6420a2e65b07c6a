package engine

import (
	"context"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/spatehub/spate/ringbuf"
	"github.com/spatehub/spate/wire"
)

// maxNotices and maxNoticeBytes bound the failures that wait for the callback.
const (
	maxNotices     = 8192
	maxNoticeBytes = 32 << 20
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
	bytes  atomic.Int64 // of the frames that wait
	lost   atomic.Uint64
}

type notice struct {
	uid  string
	ev   *wire.Event
	size int64 // of the frame
}

func newNotices(h *Hub) *notices {
	n := &notices{hub: h, active: limiter{max: int32(h.cfg.workers)}}
	if h.cfg.failed != nil {
		n.queue = ringbuf.NewMPMC[notice](maxNotices)
		n.drain = n.drainer
	}
	return n
}

// tellFailed hands a failure to the callback. It never waits.
func (h *Hub) tellFailed(uid string, e *entry) {
	n := h.notices
	if n.queue == nil {
		return
	}
	// Room is looked for before the event is rebuilt: this is a shard's time.
	size := int64(len(e.frame()))
	if n.queue.Len() >= maxNotices || n.bytes.Load() > maxNoticeBytes {
		n.lost.Add(1)
		return
	}
	n.bytes.Add(size)
	if !n.queue.TryPush(notice{uid, e.event(), size}) {
		n.bytes.Add(-size)
		n.lost.Add(1)
		return
	}
	n.start()
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
			n.call(m)
		}
		n.active.leave()
		if n.queue.Len() == 0 || !n.active.enter() {
			return
		}
	}
}

// call makes one callback, and survives its panic.
func (n *notices) call(m notice) {
	defer func() {
		n.bytes.Add(-m.size)
		if p := recover(); p != nil {
			n.hub.cfg.logger.Error("spate: failure callback panicked", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	n.hub.cfg.failed(m.uid, m.ev)
}

// finish waits until the callbacks are made, or ctx ends.
func (n *notices) finish(ctx context.Context) {
	if n.queue == nil {
		return
	}
	for n.queue.Len() > 0 || !n.active.idle() {
		n.start()
		select {
		case <-ctx.Done():
			n.lost.Add(uint64(n.queue.Len()))
			return
		case <-time.After(time.Millisecond):
		}
	}
}
