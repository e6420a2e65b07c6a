package pebblelog

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/spatehub/spate/persist/internal/clock"
	"github.com/spatehub/spate/persist/internal/deadlines"
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
	now := p.now()
	p.dateChunks(now)
	for !p.interrupted() {
		n, err := p.dropChunks(now)
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
	return p.retainTopics(now)
}

func (p *Log) now() clock.Moment { return clock.Since(p.start, p.cfg.clock.Now()) }

// aheadSlack is how far records may be ahead of the clock and nothing is said.
const aheadSlack = time.Minute

// dateChunks finds out how old the newest chunks are.
func (p *Log) dateChunks(now clock.Moment) {
	if !p.aged() {
		return
	}
	p.mu.Lock()
	ahead := p.mu.date(now)
	p.mu.Unlock()
	if ahead > aheadSlack {
		p.say(slog.LevelWarn, "persist: records are ahead of the clock; their age is counted from now",
			fmt.Errorf("the newest by %v", ahead.Round(time.Second)))
	}
}

// aged reports whether there is a bound of age.
func (p *Log) aged() bool {
	if p.cfg.retention.MaxAge > 0 {
		return true
	}
	for _, r := range p.cfg.retention.Topics {
		if r.MaxAge > 0 {
			return true
		}
	}
	return false
}

// dropChunks removes chunks from the beginning with range deletes, and returns
// how many. What it does not depend on is how many records are in them, unless
// topics have bounds of their own.
func (p *Log) dropChunks(now clock.Moment) (int, error) {
	p.mu.Lock()
	n := p.mu.expired(p.mu.retention, now, p.acked.Load())
	if p.mu.topics.Len() > 0 {
		n = min(n, topicChunks)
	}
	if n == 0 {
		p.mu.Unlock()
		return 0, nil
	}
	last := p.mu.chunks[n-1].last
	counting, floor := p.mu.topics.Len() > 0, p.mu.floor
	p.mu.Unlock()

	var lost map[string]*topicCount
	if counting {
		var err error
		if lost, err = p.countTopics(floor, last, p.interrupted); err != nil {
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
	from, removed := p.mu.floor+1, p.mu.count
	for i := range p.mu.chunks[:n] {
		p.mu.floorTime = max(p.mu.floorTime, p.mu.chunks[i].newest)
	}
	p.mu.drop(n)
	removed -= p.mu.count
	p.mu.floor = last
	p.floor.Store(max(last, p.floor.Load()))
	_ = b.DeleteRange(recordKey(nil, from), recordKey(nil, last+1), nil)
	if a, z := from>>segmentBits, (last+1)>>segmentBits; a < z {
		_ = b.DeleteRange(appendSegment(nil, a), appendSegment(nil, z), nil)
	}
	_ = b.DeleteRange(chunkKey(nil, from), chunkKey(nil, last+1), nil)
	p.mu.dropRuns(b)
	putID(b, stateFloor, last)
	putID(b, stateLast, p.acked.Load())
	putID(b, stateGone, uint64(p.mu.floorTime))
	p.mu.told.Pass(last, removed, nil)
	p.mu.floors.Pass(last, removed, func(topic string) { _ = b.Delete(topicKey(keyFloor, topic), nil) })
	for topic, gone := range lost {
		t := p.mu.topics.Get(topic)
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
		s.forget(t)
	}
}

// findFirst looks for the oldest record after a removal. None lies before the one that
// was the oldest, and to look there would pass all that was removed since the floor.
func (p *Log) findFirst() error {
	for {
		upTo := p.acked.Load()
		after := p.floor.Load()
		p.mu.Lock()
		after = max(after, max(p.mu.first, 1)-1)
		p.mu.Unlock()
		first, err := seekRecord(p.gen.db, after, upTo)
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
// have bounds, unless stop says to.
func (p *Log) countTopics(after, upTo uint64, stop func() bool) (map[string]*topicCount, error) {
	topics := make(map[string]*topicCount)
	l := loader{db: p.gen.db}
	n := 0
	err := l.scan(recordKey(nil, after+1), recordKey(nil, upTo+1), func(key, v []byte) error {
		if n++; n%maxChunkRecords == 0 && (stop() || p.gen.fence.err() != nil) {
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
			t = &topicCount{Entry: deadlines.Entry{Name: string(name)}, oldest: h.time}
			topics[t.Name] = t
		}
		t.begins(keyID(key), h.users >= 0)
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
	to, floor := p.mu.recountTo, p.mu.floor
	p.mu.Unlock()
	if to == 0 {
		return nil
	}
	counted, err := p.countTopics(floor, to, p.interrupted)
	if err != nil {
		return err
	}
	p.appending.Lock()
	defer p.appending.Unlock()
	b := p.gen.db.NewBatch()
	defer func() { _ = b.Close() }()
	p.mu.Lock()
	for _, c := range counted {
		t := p.mu.topics.Get(c.Name)
		if t == nil {
			t = c
		} else {
			t.count += c.count
			t.bytes += c.bytes
			t.oldest = min(t.oldest, c.oldest)
			t.from = min(t.from, c.from)
			t.kinds |= c.kinds
		}
		p.mu.setTopic(t)
		p.mu.markWasteful(t)
	}
	for _, t := range p.mu.topics.All() {
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
