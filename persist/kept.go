package persist

import (
	"context"
	"time"
)

// Counted is a [Log] that tells how much of a topic it keeps.
type Counted interface {
	// Kept tells of each of these topics, which are no patterns, what can be read of
	// it, records that name users among them, in the order of the topics. What that
	// costs is bounded for a call, whatever the log holds: there are at least as many
	// as [Kept.Records] where [Kept.More] is set.
	Kept(ctx context.Context, topics []string) ([]Kept, error)
}

// Kept is what a log keeps of a topic.
type Kept struct {
	Records int       // that can be read
	More    bool      // there may be more than were counted
	First   uint64    // the oldest of them; 0: there is none
	Since   time.Time // when that was appended, to a millisecond, by the clock of then
}

// Kept implements [Counted]. It costs a few look-ups a topic, and counts all.
func (m *Memory) Kept(ctx context.Context, topics []string) ([]Kept, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.expire()
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.mu.closed {
		return nil, ErrClosed
	}
	all := make([]Kept, len(topics))
	for i, topic := range topics {
		if topic == "" {
			continue
		}
		for _, kind := range []string{topicStream, privateStream} {
			if s := m.mu.streams.Get(streamKey{kind, topic}); s != nil {
				m.addLocked(&all[i], &s.idList)
			}
		}
	}
	return all, nil
}

// addLocked adds what a stream of the topic holds.
func (m *Memory) addLocked(k *Kept, list *idList) {
	k.Records += list.len()
	for _, id := range list.ids[list.head:] {
		if k.First != 0 && id > k.First {
			return
		}
		if _, r := findRecord(m.mu.chunks, id); r != nil {
			k.First, k.Since = id, time.UnixMilli(r.Time)
			return
		}
	}
}

// Listed is a [Log] that tells of which topics it keeps anything.
type Listed interface {
	// Topics returns topics of which there are records that can be read, those that
	// name users among them, each topic once: limit of them at most, and of newer parts of
	// the log rather than of older ones. What that costs is bounded for a call,
	// whatever the log holds: there may be others where more is set.
	Topics(ctx context.Context, limit int) (topics []string, more bool, err error)
}
