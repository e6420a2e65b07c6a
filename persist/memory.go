package persist

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spatehub/spate/persist/internal/clock"
	"github.com/spatehub/spate/persist/internal/deadlines"
	"github.com/spatehub/spate/persist/internal/floors"
	"github.com/spatehub/spate/persist/internal/runs"
	"github.com/spatehub/spate/persist/internal/shrink"
)

// Bounds of a [Memory] log that is given none.
const (
	DefaultMemoryCount = 100_000
	DefaultMemoryBytes = 64 << 20
)

// Memory is a [Log] that lives and dies with the process. It implements
// [Querier], [Runs], [Dated], [Stats], [Retainer], [Counted] and [Store] too, and keeps its retention
// exactly. Its bytes, those of [Retention] and of [LogStats], are about all the
// memory that records take: names, index and bookkeeping too.
//
// Its methods may be called by any number of goroutines.
type Memory struct {
	cfg   config    // its retention is guarded by mu
	start time.Time // ages are counted from here, by a clock that does not jump

	setting sync.Mutex  // held by SetRetention, and taken before mu
	aging   atomic.Bool // there may be bounds of age

	mu struct {
		sync.RWMutex
		closed   bool
		trimming bool // SetRetention is at removing what is too much now

		chunks []*memChunk // ascending by ID; none is empty of live records
		count  int64       // live records
		bytes  int64       // held for them

		// streams holds the IDs of live records by stream, topics those of topics
		// that have bounds.
		streams shrink.Map[streamKey, *memStream]
		byName  topicIndex // those of topics
		topics  shrink.Map[string, *topicList]
		ages    deadlines.Heap // of topics with a bound of age that have records

		first, last uint64
		runs        runs.List
		floor       uint64 // everything ≤ floor is gone
		floorTime   int64  // the newest Time of what is
		floors      floors.Set

		oldest int64 // memRecord.at of the first record
	}
}

// topicList is what a topic with bounds keeps.
type topicList struct {
	deadlines.Entry
	idList
	bytes int64
}

// NewMemory returns an empty memory log, bounded by [DefaultMemoryCount] and
// [DefaultMemoryBytes] unless [WithRetention] says otherwise.
func NewMemory(opts ...Option) *Memory {
	m := &Memory{cfg: newConfig(opts)}
	if !m.cfg.retentionSet {
		m.cfg.retention = Retention{MaxCount: DefaultMemoryCount, MaxBytes: DefaultMemoryBytes}
	}
	m.start = m.cfg.clock.Now()
	m.mu.floors.Limit = m.cfg.maxFloors
	m.mu.floors.Bounded = func(topic string) bool {
		_, bounded := m.cfg.retention.ForTopic(topic)
		return bounded
	}
	m.aging.Store(m.cfg.retention.ages())
	return m
}

// Append implements [Log].
func (m *Memory) Append(ctx context.Context, recs []Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.closed {
		return ErrClosed
	}
	last := m.mu.last
	if run, open := m.mu.runs.Open(); open {
		last = max(last, run.First-1)
	}
	if err := CheckBatch(recs, last); err != nil {
		return err
	}
	now := m.now()
	m.insertLocked(recs, now)
	left := m.removableLocked(len(recs))
	left -= m.retainLocked(now, left)
	if m.mu.topics.Len() > 0 {
		for i := range recs {
			left -= m.retainTopicLocked(recs[i].Topic, now, left)
		}
	}
	return nil
}

// insertLocked copies records into the log.
func (m *Memory) insertLocked(recs []Record, now clock.Moment) {
	var arena []byte
	for i := range recs {
		r := &recs[i]
		if i%memChunkRecords == 0 {
			arena = make([]byte, 0, arenaLen(recs[i:min(len(recs), i+memChunkRecords)]))
		}
		rec := memRecord{Record: *r, at: now.Of(r.Time)}
		arena, rec.Frame = cut(arena, r.Frame)
		arena, rec.Key = cutText(arena, r.Key)
		m.indexLocked(&rec)
		m.tailLocked().add(&rec)
		size := rec.held()
		m.mu.count++
		m.mu.bytes += size
		m.mu.last = r.ID
		if m.mu.first == 0 {
			m.mu.first, m.mu.oldest = r.ID, rec.at
		}
		m.countTopicLocked(&rec, size)
	}
}

// indexLocked adds the ID of a record to its streams, and has it refer to their names
// instead of the caller's.
func (m *Memory) indexLocked(r *memRecord) {
	if r.Users != nil {
		users := make([]string, len(r.Users))
		for i, u := range r.Users {
			users[i] = m.streamLocked(streamKey{userStream, u}, r.ID).key.name
		}
		r.Users = users
	}
	switch {
	case r.Topic != "" && r.Users != nil:
		r.Topic = m.streamLocked(streamKey{privateStream, r.Topic}, r.ID).key.name
	case r.Topic != "":
		r.Topic = m.streamLocked(streamKey{topicStream, r.Topic}, r.ID).key.name
	case r.Users == nil:
		m.streamLocked(streamKey{}, r.ID)
	}
}

func (m *Memory) countTopicLocked(r *memRecord, size int64) {
	if r.Topic == "" {
		return
	}
	bounds, bounded := m.cfg.retention.ForTopic(r.Topic)
	if !bounded {
		return
	}
	t := m.mu.topics.Get(r.Topic)
	if t == nil {
		t = &topicList{Entry: deadlines.Entry{Name: r.Topic}}
		m.mu.topics.Set(r.Topic, t)
		m.mu.bytes += topicHeld
		if bounds.MaxAge > 0 {
			m.mu.ages.Set(&t.Entry, r.at+bounds.MaxAge.Milliseconds())
		}
	}
	t.push(r.ID)
	t.bytes += size
}

// tailLocked returns a chunk with room for a record.
func (m *Memory) tailLocked() *memChunk {
	n := len(m.mu.chunks)
	if n > 0 && len(m.mu.chunks[n-1].recs) < memChunkRecords {
		return m.mu.chunks[n-1]
	}
	c := &memChunk{}
	if n > 0 {
		c.reach = m.mu.chunks[n-1].reach
		c.recs = make([]memRecord, 0, memChunkRecords) // the first one grows: most logs of a program are small
	}
	m.mu.chunks = append(m.mu.chunks, c)
	return c
}

// First implements [Log].
func (m *Memory) First() uint64 {
	m.expire()
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.mu.first
}

// Last implements [Log].
func (m *Memory) Last() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.mu.last
}

// Floor implements [Log].
func (m *Memory) Floor(topics []string) uint64 {
	m.expire()
	m.mu.RLock()
	defer m.mu.RUnlock()
	floor := m.mu.floor
	for _, t := range topics {
		_, bounded := m.cfg.retention.ForTopic(t)
		floor = max(floor, m.mu.floors.Of(t, bounded))
	}
	if set := NewPatternSet(topics); set.Wild() {
		floor = max(floor, m.mu.floors.Highest(set.FollowsByPattern))
	}
	return floor
}

// LogStats implements [Stats].
func (m *Memory) LogStats() LogStats {
	m.expire()
	m.mu.RLock()
	defer m.mu.RUnlock()
	s := LogStats{
		First:     m.mu.first,
		Last:      m.mu.last,
		Floor:     m.mu.floor,
		Count:     m.mu.count,
		Bytes:     m.mu.bytes,
		Retention: m.cfg.retention,
	}
	s.Retention.Topics = maps.Clone(s.Retention.Topics)
	return s
}

// Close implements [Log]. What was kept is gone.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.closed = true
	m.mu.byName = topicIndex{}
	m.mu.chunks, m.mu.streams, m.mu.topics, m.mu.ages = nil, shrink.Map[streamKey, *memStream]{}, shrink.Map[string, *topicList]{}, deadlines.Heap{}
	m.mu.first, m.mu.count, m.mu.bytes = 0, 0, 0
	return nil
}
