package persist

import (
	"context"
	"sync"
	"time"

	"github.com/spatehub/spate/persist/internal/runs"
	"github.com/spatehub/spate/persist/internal/streams"
)

// Bounds of a [Memory] log that is given none.
const (
	DefaultMemoryCount = 100_000
	DefaultMemoryBytes = 64 << 20
)

// Memory is a [Log] that lives and dies with the process. It implements
// [Querier], [Stats] and [Store] too, and keeps its retention exactly.
//
// Its methods may be called by any number of goroutines.
type Memory struct {
	cfg config

	mu struct {
		sync.RWMutex
		closed bool

		chunks []*memChunk // ascending by ID; none is empty of live records
		count  int64       // live records
		bytes  int64       // of them

		// streams holds the IDs of live records by stream, topics those of topics
		// that have bounds, together with their bytes.
		streams map[string]*idList
		topics  map[string]*topicList

		first, last uint64
		runs        runs.List
		floor       uint64            // everything ≤ floor is gone
		floors      map[string]uint64 // by topic; all > floor

		oldest int64     // Time of the first record
		sweep  time.Time // when all topics are looked through again
	}
}

// topicList is what a topic with bounds keeps.
type topicList struct {
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
	m.mu.streams = make(map[string]*idList)
	m.mu.topics = make(map[string]*topicList)
	m.mu.floors = make(map[string]uint64)
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
	recs = copyRecords(recs)
	m.insertLocked(recs)
	m.retainLocked()
	if now := m.cfg.clock.Now(); len(m.mu.topics) > 0 {
		for i := range recs {
			m.retainTopicLocked(recs[i].Topic, now)
		}
	}
	return nil
}

// copyRecords returns recs in memory of their own: one block for all frames.
func copyRecords(recs []Record) []Record {
	n := 0
	for i := range recs {
		n += len(recs[i].Frame)
	}
	arena := make([]byte, 0, n)
	out := make([]Record, len(recs))
	for i := range recs {
		r := recs[i]
		start := len(arena)
		arena = append(arena, r.Frame...)
		r.Frame = arena[start:len(arena):len(arena)]
		if r.Users != nil {
			r.Users = append([]string(nil), r.Users...)
		}
		out[i] = r
	}
	return out
}

// insertLocked adds records whose memory is the log's own.
func (m *Memory) insertLocked(recs []Record) {
	for i := range recs {
		r := &recs[i]
		m.tailLocked().add(r)
		size := int64(r.Size())
		m.mu.count++
		m.mu.bytes += size
		m.mu.last = r.ID
		if m.mu.first == 0 {
			m.mu.first, m.mu.oldest = r.ID, r.Time
		}
		streams.Each(r.Users, r.Topic, func(prefix, name string) {
			list := m.mu.streams[prefix+name]
			if list == nil {
				list = new(idList)
				m.mu.streams[prefix+name] = list
			}
			list.push(r.ID)
		})
		m.countTopicLocked(r, size)
	}
}

func (m *Memory) countTopicLocked(r *Record, size int64) {
	if r.Topic == "" {
		return
	}
	if _, bounded := m.cfg.retention.ForTopic(r.Topic); !bounded {
		return
	}
	t := m.mu.topics[r.Topic]
	if t == nil {
		t = new(topicList)
		m.mu.topics[r.Topic] = t
	}
	t.push(r.ID)
	t.bytes += size
}

// tailLocked returns a chunk with room for a record.
func (m *Memory) tailLocked() *memChunk {
	if n := len(m.mu.chunks); n > 0 && len(m.mu.chunks[n-1].recs) < memChunkRecords {
		return m.mu.chunks[n-1]
	}
	c := &memChunk{recs: make([]memRecord, 0, memChunkRecords)}
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
		floor = max(floor, m.mu.floors[t])
	}
	return floor
}

// LogStats implements [Stats].
func (m *Memory) LogStats() LogStats {
	m.expire()
	m.mu.RLock()
	defer m.mu.RUnlock()
	return LogStats{
		First:     m.mu.first,
		Last:      m.mu.last,
		Floor:     m.mu.floor,
		Count:     m.mu.count,
		Bytes:     m.mu.bytes,
		Retention: m.cfg.retention,
	}
}

// Close implements [Log]. What was kept is gone.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.closed = true
	m.mu.chunks, m.mu.streams, m.mu.topics = nil, nil, nil
	m.mu.first, m.mu.count, m.mu.bytes = 0, 0, 0
	return nil
}
