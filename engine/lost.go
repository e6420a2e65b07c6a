package engine

import (
	"slices"
	"sync/atomic"

	"github.com/spatehub/spate/wire"
)

// lostEvent is what failure callbacks need of an event whose slot they outlive:
// a copy made once, however many receivers it has failed for, and whichever
// shards say so.
type lostEvent struct {
	// refs counts the notices that hold the event; at zero it is dead for good,
	// and who needs it makes another. Taking the last one gives frame and crowd
	// to whoever took it.
	refs atomic.Int64
	size int64 // counted in notices.bytes while it lives

	frame              []byte
	crowd              *crowd
	one, topic, key    string
	private, ephemeral bool

	// made publishes the decoded event to further callbacks.
	made atomic.Pointer[wire.Event]
}

// lostBytes is what a lostEvent takes besides its frame and its crowd.
const lostBytes = 256

// lose returns the entry's lost event with one more reference. It is a shard's
// time: the frame is copied, and nothing is decoded. Called by shards that hold
// the slot.
func (n *notices) lose(e *entry) *lostEvent {
	for {
		old := e.lost.Load()
		if old != nil && old.hold() {
			return old
		}
		l := &lostEvent{
			frame: slices.Clone(e.frame()), crowd: e.crowd, one: e.one[0], topic: e.topic, key: e.key,
			private: e.private, ephemeral: e.ephemeral(),
		}
		// The frame also as decoded; the crowd, and the list that callbacks get.
		l.size = lostBytes + 2*int64(len(l.frame))
		if l.crowd != nil {
			l.size += l.crowd.size + int64(nameBytes*len(l.crowd.names))
		}
		l.refs.Store(1)
		if e.lost.CompareAndSwap(old, l) {
			n.bytes.Add(l.size)
			return l
		}
	}
}

// hold takes a reference, unless the event is dead.
func (l *lostEvent) hold() bool {
	for {
		n := l.refs.Load()
		if n == 0 {
			return false
		}
		if l.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// drop gives a reference back. The slot may point to what is dead for a while,
// so that nothing large stays with it.
func (l *lostEvent) drop(n *notices) {
	if l.refs.Add(-1) == 0 {
		l.frame, l.crowd = nil, nil
		l.made.Store(nil)
		n.bytes.Add(-l.size)
	}
}

// event rebuilds the event from its frame: the publisher's own may have changed
// since. It is made once, off the shards' time.
func (l *lostEvent) event() *wire.Event {
	if ev := l.made.Load(); ev != nil {
		return ev
	}
	ev := decodeFrame(l.frame)
	ev.Topic, ev.Key, ev.Ephemeral = l.topic, l.key, l.ephemeral
	switch {
	case l.crowd != nil:
		ev.Users = slices.Clone(l.crowd.names)
	case l.private:
		ev.Users = []string{l.one}
	}
	if !l.made.CompareAndSwap(nil, ev) {
		return l.made.Load()
	}
	return ev
}
