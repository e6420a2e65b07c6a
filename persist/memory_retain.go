package persist

import (
	"slices"
	"time"

	"github.com/spatehub/spate/persist/internal/streams"
)

// sweepEvery is how often a memory log looks through all topics for records that
// are too old; between that it looks at the topics that are written to.
const sweepEvery = time.Second

// expire removes what has become too old since the last append. Age is the only
// bound that can be passed without one.
func (m *Memory) expire() {
	age := m.cfg.retention.MaxAge
	if age <= 0 && len(m.cfg.retention.Topics) == 0 {
		return
	}
	now := m.cfg.clock.Now()
	m.mu.RLock()
	due := m.mu.first != 0 && age > 0 && m.mu.oldest < now.Add(-age).UnixMilli() ||
		len(m.mu.topics) > 0 && !now.Before(m.mu.sweep)
	m.mu.RUnlock()
	if !due {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.retainLocked()
}

// retainLocked brings the log back within all its bounds.
func (m *Memory) retainLocked() {
	r := &m.cfg.retention
	now := m.cfg.clock.Now()
	cutoff := now.Add(-r.MaxAge).UnixMilli()
	for m.mu.first != 0 && (r.MaxCount > 0 && m.mu.count > r.MaxCount ||
		r.MaxBytes > 0 && m.mu.bytes > r.MaxBytes ||
		r.MaxAge > 0 && m.mu.oldest < cutoff) {
		m.mu.floor = m.mu.first
		m.removeLocked(m.mu.first)
	}
	m.dropRunsLocked()
	if !now.Before(m.mu.sweep) {
		m.mu.sweep = now.Add(sweepEvery)
		for topic := range m.mu.topics {
			m.retainTopicLocked(topic, now)
		}
	}
	for topic, floor := range m.mu.floors {
		if floor <= m.mu.floor {
			delete(m.mu.floors, topic)
		}
	}
}

// retainTopicLocked brings one topic back within its bounds.
func (m *Memory) retainTopicLocked(topic string, now time.Time) {
	t := m.mu.topics[topic]
	if t == nil {
		return
	}
	r, _ := m.cfg.retention.ForTopic(topic)
	cutoff := now.Add(-r.MaxAge).UnixMilli()
	for t.len() > 0 {
		id := t.front()
		_, rec := findRecord(m.mu.chunks, id)
		if !(r.MaxCount > 0 && int64(t.len()) > r.MaxCount ||
			r.MaxBytes > 0 && t.bytes > r.MaxBytes ||
			r.MaxAge > 0 && rec.Time < cutoff) {
			return
		}
		m.mu.floors[topic] = id
		m.removeLocked(id)
	}
}

// removeLocked takes a live record out of everything that knows it.
func (m *Memory) removeLocked(id uint64) {
	c, r := findRecord(m.mu.chunks, id)
	size := int64(r.Size())
	streams.Each(r.Users, r.Topic, func(prefix, name string) {
		list := m.mu.streams[prefix+name]
		if list == nil {
			return
		}
		if list.remove(id); list.len() == 0 {
			delete(m.mu.streams, prefix+name)
		}
	})
	if t := m.mu.topics[r.Topic]; t != nil {
		t.remove(id)
		if t.bytes -= size; t.len() == 0 {
			delete(m.mu.topics, r.Topic)
		}
	}
	m.mu.count--
	m.mu.bytes -= size
	if c.kill(r); c.live == 0 {
		i := slices.Index(m.mu.chunks, c)
		m.mu.chunks = slices.Delete(m.mu.chunks, i, i+1)
	}
	if id == m.mu.first {
		m.mu.first, m.mu.oldest = m.oldestLocked()
	}
}

// oldestLocked returns the ID and the time of the first live record, or zeros.
func (m *Memory) oldestLocked() (id uint64, at int64) {
	if len(m.mu.chunks) == 0 {
		return 0, 0
	}
	c := m.mu.chunks[0]
	return c.recs[c.head].ID, c.recs[c.head].Time
}
