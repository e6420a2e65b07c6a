package pebblelog

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// topicChunks is how many chunks are dropped at once where the records in them
// have to be counted by topic.
const topicChunks = 64

// retain removes what is beyond the bounds. maint is held, and stays so for its
// whole length, except that it returns early when the log is closed or fails.
func (p *Log) retain() error {
	if err := p.recount(); err != nil {
		return err
	}
	for !p.quitting() {
		n, err := p.dropChunks()
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		if p.reclaimAt.IsZero() {
			p.reclaimAt = p.cfg.clock.Now().Add(reclaimDelay)
		}
	}
	return p.retainTopics()
}

// dropChunks removes chunks from the beginning with range deletes, and returns
// how many. What it does not depend on is how many records are in them, unless
// topics have bounds of their own.
func (p *Log) dropChunks() (int, error) {
	p.mu.Lock()
	n := p.mu.expired(p.mu.retention, p.cfg.clock.Now(), p.acked.Load())
	if len(p.mu.topics) > 0 {
		n = min(n, topicChunks)
	}
	if n == 0 {
		p.mu.Unlock()
		return 0, nil
	}
	last := p.mu.chunks[n-1].last
	counting := len(p.mu.topics) > 0
	p.mu.Unlock()

	var lost map[string]*topicCount
	if counting {
		var err error
		if lost, err = p.countTopics(p.floor.Load(), last); err != nil {
			return 0, err
		}
	}

	p.appending.Lock()
	defer p.appending.Unlock()
	p.mu.Lock()
	if p.mu.chunks[n-1].last != last {
		// It was the open chunk, and has got records meanwhile.
		p.mu.Unlock()
		return 0, nil
	}
	b := p.gen.db.NewBatch()
	defer func() { _ = b.Close() }()
	p.dropLocked(b, n, last, lost)
	p.mu.Unlock()
	if err := p.gen.apply(b, false); err != nil {
		return 0, failure(err)
	}
	return n, p.findFirst()
}

// dropLocked takes the first n chunks, which end with the ID last, out of the
// state, and adds to b what takes them out of the database. It raises the floor,
// before anything is removed: whoever does not find a record finds the floor above
// it.
func (p *Log) dropLocked(b *pebble.Batch, n int, last uint64, lost map[string]*topicCount) {
	from := p.mu.floor + 1
	p.mu.drop(n)
	p.mu.floor = last
	p.floor.Store(last)
	_ = b.DeleteRange(recordKey(nil, from), recordKey(nil, last+1), nil)
	if a, z := from>>segmentBits, (last+1)>>segmentBits; a < z {
		_ = b.DeleteRange(appendSegment(nil, a), appendSegment(nil, z), nil)
	}
	_ = b.DeleteRange(chunkKey(nil, from), chunkKey(nil, last+1), nil)
	p.mu.dropRuns(b)
	putID(b, stateFloor, last)
	putID(b, stateLast, p.acked.Load())
	for topic, floor := range p.mu.floors {
		if floor <= last {
			delete(p.mu.floors, topic)
			_ = b.Delete(topicKey(keyFloor, topic), nil)
		}
	}
	for topic, gone := range lost {
		t := p.mu.topics[topic]
		if t == nil {
			continue
		}
		t.count -= gone.count
		t.bytes -= gone.bytes
		if len(p.mu.chunks) == 0 {
			t.openCount, t.openBytes = 0, 0
		}
		p.mu.putOrForget(b, t)
	}
	if len(p.mu.chunks) == 0 {
		p.mu.inOpen = p.mu.inOpen[:0]
	}
}

// putOrForget writes the counters of a topic, or takes them out if it has no
// records any more.
func (s *state) putOrForget(b *pebble.Batch, t *topicCount) {
	putTopic(b, t)
	if t.count == 0 && t.openCount == 0 {
		delete(s.topics, t.name)
	}
}

// findFirst looks for the oldest record after a removal.
func (p *Log) findFirst() error {
	for {
		upTo := p.acked.Load()
		first, err := seekRecord(p.gen.db, p.floor.Load(), upTo)
		if err != nil {
			return err
		}
		p.mu.Lock()
		// If there was none, one may have been acknowledged since.
		sure := first != 0 || upTo == p.acked.Load()
		if sure {
			p.mu.first = first
		}
		p.mu.Unlock()
		if sure {
			return nil
		}
	}
}

// countTopics counts the records with after < ID ≤ upTo by topic, for topics that
// have bounds.
func (p *Log) countTopics(after, upTo uint64) (map[string]*topicCount, error) {
	topics := make(map[string]*topicCount)
	l := loader{db: p.gen.db}
	n := 0
	err := l.scan(recordKey(nil, after+1), recordKey(nil, upTo+1), func(_, v []byte) error {
		if n++; n%maxChunkRecords == 0 && (p.quitting() || p.gen.fence.err() != nil) {
			return errInterrupted
		}
		h, err := parseHeader(v)
		if err != nil || h.topic0 == h.topic1 {
			return err
		}
		name := v[h.topic0:h.topic1]
		t := topics[string(name)]
		if t == nil {
			if _, bounded := p.cfg.retention.ForTopic(string(name)); !bounded {
				return nil
			}
			t = &topicCount{name: string(name), oldest: h.time}
			topics[t.name] = t
		}
		t.count++
		t.bytes += int64(h.size(v))
		t.oldest = min(t.oldest, h.time)
		return nil
	})
	return topics, err
}

// errInterrupted ends work that is taken up again later, or by the next life.
var errInterrupted = errors.New("persist: interrupted")

// recount counts all records by topic after the set of topics with bounds has
// changed. It is the only work of the log that reads everything.
func (p *Log) recount() error {
	p.mu.Lock()
	to := p.mu.recountTo
	p.mu.Unlock()
	if to == 0 {
		return nil
	}
	counted, err := p.countTopics(p.floor.Load(), to)
	if err != nil {
		return err
	}
	p.appending.Lock()
	defer p.appending.Unlock()
	b := p.gen.db.NewBatch()
	defer func() { _ = b.Close() }()
	p.mu.Lock()
	for _, c := range counted {
		t := p.mu.topics[c.name]
		if t == nil {
			t = c
			p.mu.topics[c.name] = t
		} else {
			t.count += c.count
			t.bytes += c.bytes
			t.oldest = min(t.oldest, c.oldest)
		}
		if r, _ := p.mu.retention.ForTopic(t.name); !t.due && t.wasteful(&r) {
			p.mu.markDue(t)
		}
	}
	for _, t := range p.mu.topics {
		putTopic(b, t)
	}
	_ = b.Set(stateTopics, p.mu.signature(), nil)
	p.mu.recountTo = 0
	p.mu.Unlock()
	return p.applyRetention(b)
}

// applyRetention applies a batch of retention, which need not be durable: what
// comes back after a power cut is removed again.
func (p *Log) applyRetention(b *pebble.Batch) error {
	if err := p.gen.apply(b, false); err != nil {
		return failure(err)
	}
	return nil
}
