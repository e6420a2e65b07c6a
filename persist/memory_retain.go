package persist

import (
	"slices"

	"github.com/spatehub/spate/persist/internal/clock"
)

func (m *Memory) now() clock.Moment { return clock.Since(m.start, m.cfg.clock.Now()) }

// expire removes what has become too old since the last append. Age is the only
// bound that can be passed without one.
func (m *Memory) expire() {
	if !m.aging.Load() {
		return
	}
	now := m.now()
	m.mu.RLock()
	age := m.cfg.retention.MaxAge
	due := m.mu.first != 0 && age > 0 && m.mu.oldest < now.Steady-age.Milliseconds() ||
		m.mu.ages.Due(now.Steady) != nil
	m.mu.RUnlock()
	if !due {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.retainLocked(now, m.removableLocked(0))
}

// retainLocked brings the log back within all its bounds, or removes as many records
// as limit, and returns how many. It costs each record that goes a logarithmic number of
// steps, and nothing if none does.
func (m *Memory) retainLocked(now clock.Moment, limit int64) (removed int64) {
	r := &m.cfg.retention
	cutoff := now.Steady - r.MaxAge.Milliseconds()
	for removed < limit && m.mu.first != 0 && (r.MaxCount > 0 && m.mu.count > r.MaxCount ||
		r.MaxBytes > 0 && m.mu.bytes > r.MaxBytes ||
		r.MaxAge > 0 && m.mu.oldest < cutoff) {
		m.mu.floor = m.mu.first
		m.mu.floorTime = max(m.mu.floorTime, m.removeLocked(m.mu.first))
		removed++
	}
	for removed < limit {
		e := m.mu.ages.Due(now.Steady)
		if e == nil {
			break
		}
		removed += m.retainTopicLocked(e.Name, now, limit-removed)
	}
	if removed > 0 {
		m.dropRunsLocked()
		m.mu.floors.Pass(m.mu.floor, removed, nil)
	}
	return removed
}

// retainTopicLocked brings one topic back within its bounds, or removes as many records
// as limit.
func (m *Memory) retainTopicLocked(topic string, now clock.Moment, limit int64) (removed int64) {
	t := m.mu.topics.Get(topic)
	if t == nil {
		return 0
	}
	topic = t.Name
	r, _ := m.cfg.retention.ForTopic(topic)
	cutoff := now.Steady - r.MaxAge.Milliseconds()
	for t.len() > 0 && removed < limit {
		id := t.front()
		_, rec := findRecord(m.mu.chunks, id)
		if !(r.MaxCount > 0 && int64(t.len()) > r.MaxCount ||
			r.MaxBytes > 0 && t.bytes > r.MaxBytes ||
			r.MaxAge > 0 && rec.at < cutoff) {
			if r.MaxAge > 0 {
				m.mu.ages.Set(&t.Entry, rec.at+r.MaxAge.Milliseconds())
			}
			break
		}
		m.mu.floors.Raise(topic, id, nil)
		m.removeLocked(id)
		removed++
	}
	return removed
}

// removeLocked takes a live record out of everything that knows it, and returns its
// time.
func (m *Memory) removeLocked(id uint64) (at int64) {
	c, r := findRecord(m.mu.chunks, id)
	old := *r
	size := old.held()
	m.mu.count--
	m.mu.bytes -= size
	if c.kill(r); c.live == 0 {
		m.dropChunkLocked(c)
	} else if c != m.mu.chunks[len(m.mu.chunks)-1] {
		c.compact()
	}
	m.unindexLocked(&old)
	if t := m.mu.topics.Get(old.Topic); t != nil {
		t.remove(id, nil) // it is the oldest of its topic, so none is in the middle
		if t.bytes -= size; t.len() == 0 {
			m.mu.ages.Remove(&t.Entry)
			m.mu.topics.Delete(old.Topic)
			m.mu.bytes -= topicHeld
		}
	}
	if id == m.mu.first {
		m.mu.first, m.mu.oldest = m.oldestLocked()
	}
	return old.Time
}

// dropChunkLocked takes out a chunk without live records.
func (m *Memory) dropChunkLocked(c *memChunk) {
	i := searchChunks(m.mu.chunks, c.last()-1)
	if i > 0 {
		m.mu.chunks = slices.Delete(m.mu.chunks, i, i+1)
		return
	}
	m.mu.chunks[0] = nil
	m.mu.chunks = m.mu.chunks[1:]
	// What was removed does not reach any more.
	reach := int64(0)
	for _, c := range m.mu.chunks {
		if reach = max(reach, c.newest); reach == c.reach {
			break
		}
		c.reach = reach
	}
}

// oldestLocked returns the ID and the time of the first live record, or zeros.
func (m *Memory) oldestLocked() (id uint64, at int64) {
	if len(m.mu.chunks) == 0 {
		return 0, 0
	}
	c := m.mu.chunks[0]
	return c.recs[c.head].ID, c.recs[c.head].at
}
