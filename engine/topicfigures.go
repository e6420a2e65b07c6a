package engine

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
	"sync/atomic"
)

// WithTopicFigures counts events by topic, for so many topics: those that are
// pushed to first. All others are counted together, so that names which come from
// outside cannot fill the memory or what reads the figures. 0, the default, counts
// none; 10,000 is the most.
func WithTopicFigures(topics int) HubOption {
	return func(c *config) { c.topicFigures = max(0, min(topics, 10_000)) }
}

// TopicFigures are counts of the events of one topic that got their place in the
// stream since the hub was made, those that the log then did not take among them.
type TopicFigures struct {
	Topic  string // "": all topics that have no figures of their own
	Events uint64
	Bytes  uint64 // of frames, as they are sent
}

// TopicFigures returns the counts by topic, in the order in which the topics were
// first pushed to, so that a beginning of the list is the same topics each time, and
// those of all other topics last; nothing unless [WithTopicFigures] asks for them. It
// takes no lock.
func (h *Hub) TopicFigures() []TopicFigures {
	t := h.topicFigures
	if t == nil {
		return nil
	}
	var found []*topicFigure
	for i := range t.slots {
		if f := t.slots[i].Load(); f != nil && f.rank.Load() != 0 {
			found = append(found, f)
		}
	}
	slices.SortFunc(found, func(a, b *topicFigure) int { return cmp.Compare(a.rank.Load(), b.rank.Load()) })
	all := make([]TopicFigures, 0, len(found)+1)
	for _, f := range found {
		all = append(all, f.snapshot())
	}
	return append(all, t.others.snapshot())
}

// topicFigures is a table of open addressing. Entries are put in by whoever pushes
// to a topic first, and stay.
type topicFigures struct {
	seed   maphash.Seed
	slots  []atomic.Pointer[topicFigure] // an entry once, which never changes its topic
	left   atomic.Int64                  // entries that may still come; below 0 for a moment
	others topicFigure
	ranks  atomic.Uint32 // that were given
}

type topicFigure struct {
	topic         string
	events, bytes atomic.Uint64
	rank          atomic.Uint32 // in the order of coming; 0: not given yet
}

func (f *topicFigure) snapshot() TopicFigures {
	return TopicFigures{Topic: f.topic, Events: f.events.Load(), Bytes: f.bytes.Load()}
}

func newTopicFigures(topics int, seed maphash.Seed) *topicFigures {
	if topics == 0 {
		return nil
	}
	t := &topicFigures{seed: seed, slots: make([]atomic.Pointer[topicFigure], 2*topics)}
	t.left.Store(int64(topics))
	return t
}

// count counts an event that is put into the ring. Any goroutine.
func (t *topicFigures) count(topic string, size int) {
	if t == nil || topic == "" {
		return
	}
	f := t.of(topic)
	f.events.Add(1)
	f.bytes.Add(uint64(size))
}

// of returns the topic's entry, or that of all others. The table is never more
// than half full, so that looking ends.
func (t *topicFigures) of(topic string) *topicFigure {
	n := uint64(len(t.slots))
	for i := maphash.String(t.seed, topic) % n; ; i = (i + 1) % n {
		f := t.slots[i].Load()
		if f == nil {
			if f = t.enter(i, topic); f == nil {
				return &t.others
			}
		}
		if f.topic == topic {
			return f
		}
	}
}

// enter puts a topic into a slot, unless there are enough. It returns what is in the
// slot then.
func (t *topicFigures) enter(i uint64, topic string) *topicFigure {
	if t.left.Load() <= 0 {
		return nil
	}
	if t.left.Add(-1) < 0 {
		t.left.Add(1)
		return nil
	}
	f := &topicFigure{topic: strings.Clone(topic)}
	if t.slots[i].CompareAndSwap(nil, f) {
		f.rank.Store(t.ranks.Add(1))
		return f
	}
	t.left.Add(1)
	return t.slots[i].Load()
}
