package pebblelog

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/streams"
)

// topicBatch is how many records of a topic are removed at once.
const topicBatch = 512

// retainTopics brings topics back within their bounds: those known to be beyond
// them, and those whose oldest record has become too old. maint is held.
func (p *Log) retainTopics() error {
	now := p.cfg.clock.Now()
	p.mu.Lock()
	for _, t := range p.mu.topics {
		r, _ := p.mu.retention.ForTopic(t.name)
		if !t.due && r.MaxAge > 0 && t.oldest < now.Add(-r.MaxAge).UnixMilli() {
			p.mu.markDue(t)
		}
	}
	due := p.mu.dueTopics
	p.mu.dueTopics = nil
	for _, topic := range due {
		if t := p.mu.topics[topic]; t != nil {
			t.due = false
		}
	}
	p.mu.Unlock()
	for i, topic := range due {
		more := true
		for more && !p.quitting() {
			var err error
			if more, err = p.expireTopic(topic); err != nil {
				p.stillDue(due[i:])
				return err
			}
		}
	}
	p.stillDue(due)
	return nil
}

// stillDue leaves topics for the next time: those that could not be seen to, and
// those whose records are not acknowledged yet.
func (p *Log) stillDue(topics []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, topic := range topics {
		r, _ := p.mu.retention.ForTopic(topic)
		if t := p.mu.topics[topic]; t != nil && !t.due && t.wasteful(&r) {
			p.mu.markDue(t)
		}
	}
}

// expireTopic removes the oldest records of a topic until it is within its bounds
// or a batch is full, which more says. The work is proportional to what goes.
func (p *Log) expireTopic(topic string) (more bool, err error) {
	x := topicExpiry{topic: topic, b: p.gen.db.NewBatch()}
	defer func() { err = errors.Join(err, x.b.Close()) }()
	p.mu.Lock()
	if t := p.mu.topics[topic]; t != nil {
		x.count = *t
	}
	after := max(p.mu.floor, p.mu.floors[topic])
	p.mu.Unlock()

	r, _ := p.cfg.retention.ForTopic(topic)
	cutoff := p.cfg.clock.Now().Add(-r.MaxAge).UnixMilli()
	v := view{db: p.gen.db, floor: p.floor.Load(), upTo: p.acked.Load()}
	ids, _, err := v.find([]string{streams.Topic(topic), streams.Private(topic)}, after, topicBatch)
	if err != nil {
		return false, err
	}
	stays := false
	for _, id := range ids {
		if stays, err = x.look(p.gen.db, id, &r, cutoff); stays || err != nil {
			break
		}
	}
	if err != nil {
		return false, err
	}
	x.deleteIndex()
	if x.last == 0 {
		p.setOldest(&x)
		return false, nil
	}
	return !stays && len(ids) == topicBatch, p.removeExpired(&x)
}

// topicExpiry is a batch of records of a topic that have to go.
type topicExpiry struct {
	topic string
	count topicCount // what will be left of the topic
	b     *pebble.Batch
	gone  []goneRecord
	last  uint64 // the newest of them

	first, newest uint64 // of those for everyone in the current segment
}

type goneRecord struct {
	id   uint64
	size int64
}

// look decides on the oldest record that is left; stays is the answer.
func (x *topicExpiry) look(db *pebble.DB, id uint64, r *persist.Retention, cutoff int64) (stays bool, err error) {
	found, err := get(db, recordKey(nil, id), func(v []byte) error {
		h, err := parseHeader(v)
		if err != nil {
			return err
		}
		x.count.oldest = h.time
		if !x.count.over(r, cutoff) {
			stays = true
			return nil
		}
		rec := h.record(id, v, nil)
		x.deleteRecord(&rec)
		size := int64(rec.Size())
		x.gone = append(x.gone, goneRecord{id, size})
		x.count.count--
		x.count.bytes -= size
		x.last = id
		return nil
	})
	if err == nil && !found {
		// Left over in the index.
		x.deleteRecord(&persist.Record{ID: id, Topic: x.topic})
		x.last = max(x.last, id)
	}
	return stays, err
}

// deleteRecord adds the removal of a record to the batch. Records for everyone
// are all that the topic's stream holds, so their index goes with one range delete
// a segment at the end; others are in streams of users too.
func (x *topicExpiry) deleteRecord(r *persist.Record) {
	if r.Users != nil {
		deleteRecord(x.b, r)
		return
	}
	_ = x.b.Delete(recordKey(nil, r.ID), nil)
	if x.first == 0 || x.first>>segmentBits != r.ID>>segmentBits {
		x.deleteIndex()
		x.first = r.ID
	}
	x.newest = r.ID
}

// deleteIndex removes the index of the records for everyone since first, which
// lie in one segment.
func (x *topicExpiry) deleteIndex() {
	if x.first != 0 {
		stream := streams.Topic(x.topic)
		end := append(indexKey(nil, stream, x.newest), 0)
		_ = x.b.DeleteRange(indexKey(nil, stream, x.first), end, nil)
	}
}

// setOldest notes how old the oldest record of a topic is.
func (p *Log) setOldest(x *topicExpiry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.mu.topics[x.topic]; t != nil && t.count > 0 {
		t.oldest = x.count.oldest
	}
}

// removeExpired applies an expiry to the state and the database.
func (p *Log) removeExpired(x *topicExpiry) error {
	p.appending.Lock()
	defer p.appending.Unlock()
	p.mu.Lock()
	// Before anything is removed: whoever does not find a record finds the floor
	// above it.
	p.mu.floors[x.topic] = x.last
	putID(x.b, topicKey(keyFloor, x.topic), x.last)
	putID(x.b, stateLast, p.acked.Load())
	t := p.mu.topics[x.topic]
	changed := make(map[uint64]bool)
	for _, gone := range x.gone {
		c, closed := p.mu.find(gone.id)
		if c == nil {
			continue
		}
		c.count--
		c.bytes -= gone.size
		p.mu.count--
		p.mu.bytes -= gone.size
		if closed && !changed[c.first] {
			changed[c.first] = true
		}
		if t != nil {
			t.count--
			t.bytes -= gone.size
			if !closed {
				t.openCount--
				t.openBytes -= gone.size
			}
		}
	}
	for first := range changed {
		c, _ := p.mu.find(first)
		putChunk(x.b, c)
	}
	if t != nil {
		t.oldest = x.count.oldest
		p.mu.putOrForget(x.b, t)
	}
	p.mu.Unlock()
	if err := p.applyRetention(x.b); err != nil {
		return err
	}
	return p.findFirst()
}
