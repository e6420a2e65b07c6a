package persist

import (
	"maps"
	"math"
	"reflect"

	"github.com/spatehub/spate/persist/internal/clock"
	"github.com/spatehub/spate/persist/internal/deadlines"
	"github.com/spatehub/spate/persist/internal/shrink"
)

// memStep is how many records are removed while others wait, where bounds have become
// narrower.
const memStep = 4096

// SetRetention implements [Retainer]. When it returns, what narrower bounds no longer
// allow has been removed. Until then others wait for a step at a time, and may see more
// than the bounds allow. They wait once for a look at each topic with bounds, and, if
// other topics have bounds than before, at each record: that is well below a microsecond
// for each.
//
// A zero Retention sets no bound at all, those of [NewMemory] neither.
func (m *Memory) SetRetention(r Retention) error {
	if err := CheckRetention(r); err != nil {
		return err
	}
	r.Topics = maps.Clone(r.Topics)
	m.setting.Lock()
	defer m.setting.Unlock()
	over, err := m.rebind(r)
	if err != nil {
		return err
	}
	for m.trim(&over) {
	}
	return nil
}

// rebind puts other bounds in force, and returns the topics that are beyond theirs.
func (m *Memory) rebind(r Retention) (over []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.closed {
		return nil, ErrClosed
	}
	old := m.cfg.retention
	if reflect.DeepEqual(old, r) {
		return nil, nil
	}
	m.cfg.retention = r
	m.aging.Store(r.ages())
	m.mu.trimming = true
	if !old.SameTopics(&r) {
		m.recountLocked()
	}
	for topic, t := range m.mu.topics.All() {
		bounds, _ := r.ForTopic(topic)
		m.dateTopicLocked(t, &bounds)
		if bounds.MaxCount > 0 && int64(t.len()) > bounds.MaxCount || bounds.MaxBytes > 0 && t.bytes > bounds.MaxBytes {
			over = append(over, topic)
		}
	}
	return over, nil
}

// recountLocked counts all records by topic, as other topics have bounds than before.
func (m *Memory) recountLocked() {
	m.mu.floors.Rebound()
	m.mu.bytes -= topicHeld * int64(m.mu.topics.Len())
	m.mu.topics, m.mu.ages = shrink.Map[string, *topicList]{}, deadlines.Heap{}
	for _, c := range m.mu.chunks {
		for i := range c.recs[c.head:] {
			if r := &c.recs[c.head+i]; !r.dead {
				m.countTopicLocked(r, r.held())
			}
		}
	}
}

// dateTopicLocked sets when the oldest record of a topic is too old.
func (m *Memory) dateTopicLocked(t *topicList, bounds *Retention) {
	if bounds.MaxAge <= 0 {
		m.mu.ages.Remove(&t.Entry)
		return
	}
	_, oldest := findRecord(m.mu.chunks, t.front())
	m.mu.ages.Set(&t.Entry, oldest.at+bounds.MaxAge.Milliseconds())
}

// trim removes a step of what the bounds do not allow any more, and reports whether
// there is more.
func (m *Memory) trim(over *[]string) (more bool) {
	now := m.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	left := int64(memStep)
	if !m.mu.closed {
		left -= m.retainLocked(now, left)
		left -= m.trimTopicsLocked(over, now, left)
	}
	m.mu.trimming = left == 0
	return m.mu.trimming
}

// trimTopicsLocked trims the topics in over, or removes as many records as limit. Those
// that are done are taken out of over.
func (m *Memory) trimTopicsLocked(over *[]string, now clock.Moment, limit int64) (removed int64) {
	for len(*over) > 0 && removed < limit {
		if removed += m.retainTopicLocked((*over)[0], now, limit-removed); removed < limit {
			*over = (*over)[1:]
		}
	}
	m.mu.floors.Pass(m.mu.floor, removed, nil)
	return removed
}

// removableLocked is how many records whoever appends n may remove at once.
func (m *Memory) removableLocked(n int) int64 {
	if m.mu.trimming {
		return memStep + int64(n)
	}
	return math.MaxInt64
}

var _ Retainer = (*Memory)(nil)
