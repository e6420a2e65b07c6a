package pebblelog

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/clock"
	"github.com/spatehub/spate/persist/internal/streams"
)

// Bounds of what is removed at once: records of one topic, topics, and records of all
// of them. Iterators, and the batch that is applied, are made once for it.
const (
	topicBatch  = 512
	topicGroup  = 256
	recordGroup = 2048
)

// retainTopics brings topics back within their bounds: those known to be beyond them,
// and those whose oldest record may have become too old. maint is held. The work is
// proportional to what goes.
func (p *Log) retainTopics(now clock.Moment) error {
	p.mu.Lock()
	due := p.mu.dueTopics
	p.mu.dueTopics = nil
	for _, topic := range due {
		if t := p.mu.topics.Get(topic); t != nil {
			t.due = false
		}
	}
	p.mu.Unlock()
	rest := due
	for !p.interrupted() {
		group := rest[:min(len(rest), topicGroup)]
		rest = rest[len(group):]
		if len(group) == 0 {
			if group = p.tooOld(now); len(group) == 0 {
				break
			}
		}
		tried := group
		for len(group) > 0 && !p.interrupted() {
			var err error
			if group, err = p.expireTopics(group, now); err != nil {
				p.stillDue(tried)
				p.stillDue(due)
				return err
			}
		}
		p.stillDue(group)
	}
	p.stillDue(due)
	return nil
}

// tooOld returns topics whose oldest record may be too old. They get another deadline
// when they are seen to.
func (p *Log) tooOld(now clock.Moment) (topics []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(topics) < topicGroup {
		e := p.mu.ages.Due(now.World)
		if e == nil {
			break
		}
		p.mu.ages.Remove(e)
		topics = append(topics, e.Name)
	}
	return topics
}

// stillDue leaves topics for the next time: those that could not be seen to, and
// those whose records are not acknowledged yet.
func (p *Log) stillDue(topics []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, topic := range topics {
		t := p.mu.topics.Get(topic)
		if t == nil {
			continue
		}
		p.mu.setDeadline(t)
		p.mu.markWasteful(t)
	}
}

// expireTopics removes the oldest records of topics until they are within their
// bounds, or as many as go at once, and returns the topics that are left.
func (p *Log) expireTopics(topics []string, now clock.Moment) (rest []string, err error) {
	p.mu.Lock()
	// Not the floor of readers, below which healing may have brought records back.
	v := view{db: p.gen.db, floor: p.mu.floor, upTo: p.acked.Load()}
	p.mu.Unlock()
	x := expiry{log: p, now: now, b: v.db.NewBatch()}
	defer func() { err = errors.Join(err, x.close()) }()
	if x.index, err = v.newIndex(nil, v.floor); err != nil {
		return nil, err
	}
	if x.records, err = v.records(v.floor, v.upTo); err != nil {
		return nil, err
	}
	gone := 0
	for i, topic := range topics {
		if gone >= recordGroup {
			rest = topics[i:]
			break
		}
		t, more, err := x.expire(&v, topic)
		if err != nil {
			return nil, err
		}
		if more {
			rest = append(rest, topic)
		}
		gone += len(t.gone)
		x.topics = append(x.topics, t)
	}
	return rest, p.removeExpired(&x)
}

// expiry is records of several topics that have to go.
type expiry struct {
	log     *Log
	now     clock.Moment
	b       *pebble.Batch
	index   *indexReader
	records *pebble.Iterator
	topics  []topicExpiry
}

func (x *expiry) close() error {
	err := x.b.Close()
	if x.index != nil {
		s := x.index.it.Stats()
		x.log.passed += s.ForwardSeekCount[pebble.InternalIterCall] + s.ForwardStepCount[pebble.InternalIterCall]
		err = errors.Join(err, x.index.close())
	}
	if x.records != nil {
		err = errors.Join(err, x.records.Close())
	}
	return err
}

// topicExpiry is those of one topic.
type topicExpiry struct {
	topic  string
	count  topicCount // what will be left of it
	bounds persist.Retention
	gone   []goneRecord
	last   uint64 // the newest of them

	index []uint64 // those for everyone in the current segment
}

type goneRecord struct {
	id   uint64
	size int64
}

// expire finds what has to go of one topic; more says that there may be more.
func (x *expiry) expire(v *view, topic string) (t topicExpiry, more bool, err error) {
	p := x.log
	t.topic = topic
	t.bounds, _ = p.cfg.retention.ForTopic(topic)
	p.mu.Lock()
	if c := p.mu.topics.Get(topic); c != nil {
		t.count = *c
	}
	after := max(v.floor, p.mu.floors.Named(topic), max(t.count.from, 1)-1)
	p.mu.Unlock()
	ids, err := x.oldest(&t.count, topic, after)
	if err != nil {
		return t, false, err
	}
	stays := false
	for _, id := range ids {
		if stays, err = x.look(&t, id); stays || err != nil {
			break
		}
	}
	t.deleteIndex(x.b)
	if more = !stays && len(ids) == topicBatch; !stays && !more {
		t.count.oldest = x.now.World // what may be left came after all this
	}
	if !stays {
		t.count.from = max(t.count.from, t.last+1)
	}
	return t, more, err
}

// oldest returns the oldest IDs of a topic. The search ends with the last of them, and
// does not pass what was removed of other topics behind it. Of most topics it is known
// in which streams that is; else what is for everyone, which most have nothing but, is
// looked for first.
func (x *expiry) oldest(t *topicCount, topic string, after uint64) (ids []uint64, err error) {
	limit := int(min(t.count, topicBatch))
	kinds := t.kinds
	if kinds == 0 {
		kinds = kindPublic
	}
	x.index.start(kinds.names(topic), after)
	x.index.expect(limit)
	if ids, _, err = x.index.find(limit); err != nil || len(ids) == topicBatch || int64(len(ids)) == t.count && t.count > 0 {
		return ids, err
	}
	x.index.start(streamKinds(0).names(topic), after)
	ids, _, err = x.index.find(topicBatch)
	return ids, err
}

// look decides on the oldest record of a topic that is left; stays is the answer.
func (x *expiry) look(t *topicExpiry, id uint64) (stays bool, err error) {
	var key [9]byte
	if !x.records.SeekGE(recordKey(key[:0], id)) || keyID(x.records.Key()) != id {
		// Left over in the index.
		t.deleteRecord(x.b, &persist.Record{ID: id, Topic: t.topic})
		t.last = max(t.last, id)
		return false, x.records.Error()
	}
	v, err := x.records.ValueAndErr()
	if err != nil {
		return false, err
	}
	h, err := parseHeader(v)
	if err != nil {
		return false, err
	}
	t.count.oldest, t.count.from = x.timeOf(id, h.time), id
	if !t.count.over(&t.bounds, x.now.World-t.bounds.MaxAge.Milliseconds()) {
		return true, nil
	}
	rec := h.record(id, v, nil)
	t.deleteRecord(x.b, &rec)
	size := int64(rec.Size())
	t.gone = append(t.gone, goneRecord{id, size})
	t.count.count--
	t.count.bytes -= size
	t.last = id
	return false, nil
}

// timeOf returns when a record was appended. Where that is ahead of the clock, it is
// as old as its chunk.
func (x *expiry) timeOf(id uint64, at int64) int64 {
	if at <= x.now.World {
		return at
	}
	p := x.log
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, _ := p.mu.find(id); c != nil && c.dated != 0 {
		return min(at, x.now.Back(c.at))
	}
	return x.now.World
}

// deleteRecord adds the removal of a record to the batch. Records for everyone are all
// that the topic's stream holds, so their index goes together; others are in streams
// of users too.
func (t *topicExpiry) deleteRecord(b *pebble.Batch, r *persist.Record) {
	if r.Users != nil {
		deleteRecord(b, r)
		return
	}
	_ = b.Delete(recordKey(nil, r.ID), nil)
	if n := len(t.index); n > 0 && t.index[0]>>segmentBits != r.ID>>segmentBits {
		t.deleteIndex(b)
	}
	t.index = append(t.index, r.ID)
}

// fewKeys is how many keys are deleted one by one: a range delete costs all who read
// across it, and most topics that come and go have a few records.
const fewKeys = 8

// deleteIndex removes the index of the records for everyone in the current segment.
func (t *topicExpiry) deleteIndex(b *pebble.Batch) {
	stream := streams.Topic(t.topic)
	switch n := len(t.index); {
	case n == 0:
	case n <= fewKeys:
		for _, id := range t.index {
			_ = b.Delete(indexKey(nil, stream, id), nil)
		}
	default:
		end := append(indexKey(nil, stream, t.index[n-1]), 0)
		_ = b.DeleteRange(indexKey(nil, stream, t.index[0]), end, nil)
	}
	t.index = t.index[:0]
}

// removeExpired applies an expiry to the state and the database.
func (p *Log) removeExpired(x *expiry) error {
	p.appending.Lock()
	defer p.appending.Unlock()
	removed := false
	changed := make(map[uint64]bool)
	p.mu.Lock()
	for i := range x.topics {
		t := &x.topics[i]
		count := p.mu.topics.Get(t.topic)
		if t.last != 0 {
			removed = true
			// Before anything is removed: whoever does not find a record finds the floor
			// above it.
			p.mu.raiseFloor(x.b, t.topic, t.last)
			p.mu.told.Reached(t.topic, t.last)
			p.mu.countGone(t.gone, count, changed)
		}
		if count == nil {
			continue
		}
		count.oldest, count.from = t.count.oldest, t.count.from
		p.mu.setDeadline(count)
		if t.last != 0 {
			p.mu.putOrForget(x.b, count)
		}
	}
	p.mu.putChanged(x.b, changed)
	putID(x.b, stateLast, p.acked.Load())
	p.mu.Unlock()
	if !removed {
		return nil
	}
	if err := p.applyRetention(x.b); err != nil {
		return err
	}
	return p.findFirst()
}

// countGone takes records out of the numbers of their chunks, which it adds to
// changed where they are closed, and of their topic, nil if that is not counted.
func (s *state) countGone(gone []goneRecord, t *topicCount, changed map[uint64]bool) {
	for _, g := range gone {
		c, closed := s.find(g.id)
		if c == nil {
			continue
		}
		c.count--
		c.bytes -= g.size
		s.count--
		s.bytes -= g.size
		if closed {
			changed[c.first] = true
		}
		if t != nil {
			t.count--
			t.bytes -= g.size
			if !closed {
				t.openCount--
				t.openBytes -= g.size
			}
		}
	}
}

// putChanged writes the numbers of closed chunks. One without records is left to the
// chunk behind it, or chunks would be what is never given back.
func (s *state) putChanged(b *pebble.Batch, changed map[uint64]bool) {
	if n := len(s.chunks); n > 1 && s.chunks[n-2].count == 0 {
		changed[s.chunks[n-2].first] = true // it was the last one when that became so
	}
	for first := range changed {
		c, closed := s.find(first)
		if c == nil || !closed {
			continue
		}
		if c.count > 0 {
			putChunk(b, c)
			continue
		}
		gone, begin := *c, c.first
		next, was, open := s.absorb(begin)
		if next == nil {
			putChunk(b, c)
			continue
		}
		deleteEmpty(b, &gone, next.start)
		_ = b.Delete(chunkKey(nil, was), nil)
		_ = b.Delete(chunkKey(nil, begin), nil)
		if !open {
			putChunk(b, next)
		}
	}
}

// deleteEmpty deletes as a range what has been deleted key by key: a chunk without
// records, behind which the next ones are at an ID. Readers pass that with one step, and
// tables that hold nothing else are dropped unread. Segments of the index go when all
// from the first ID that the chunk stands for have gone, each once.
func deleteEmpty(b *pebble.Batch, c *chunk, next uint64) {
	_ = b.DeleteRange(recordKey(nil, c.start), recordKey(nil, c.last+1), nil)
	from := max((c.first+segmentMask)>>segmentBits, c.start>>segmentBits)
	if to := next >> segmentBits; from < to {
		_ = b.DeleteRange(appendSegment(nil, from), appendSegment(nil, to), nil)
	}
}
