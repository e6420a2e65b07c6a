package persist

import (
	"context"
	"fmt"

	"github.com/spatehub/spate/persist/internal/merge"
	"github.com/spatehub/spate/persist/internal/streams"
)

// Read implements [Log].
func (m *Memory) Read(ctx context.Context, after uint64, lim Limit) (Page, error) {
	if err := ctx.Err(); err != nil {
		return Page{}, err
	}
	m.expire()
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.mu.closed {
		return Page{}, ErrClosed
	}
	b := NewPageBuilder(after, lim)
	for i := searchChunks(m.mu.chunks, after); i < len(m.mu.chunks); i++ {
		c := m.mu.chunks[i]
		for j := c.search(after); j < len(c.recs); j++ {
			r := &c.recs[j]
			if r.dead {
				continue
			}
			if !b.Fits(len(r.Frame)) {
				return b.Page, nil
			}
			b.AddCopy(&r.Record)
		}
	}
	b.Reach(m.mu.last)
	return b.Page, nil
}

// Query implements [Querier].
func (m *Memory) Query(ctx context.Context, q Query, after uint64, lim Limit) (Page, error) {
	if q.Everything() {
		return m.Read(ctx, after, lim)
	}
	if err := ctx.Err(); err != nil {
		return Page{}, err
	}
	m.expire()
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.mu.closed {
		return Page{}, ErrClosed
	}
	page, _ := m.queryLocked(&q, after, lim)
	return page, nil
}

// queryLocked is Query by the index, or by going through the records where patterns
// select in too much of it. looks is how many topics or records patterns had it look at.
func (m *Memory) queryLocked(q *Query, after uint64, lim Limit) (page Page, looks int) {
	set := NewTopicSet(q.Topics)
	prefixes, topics, ok := set.Ranges()
	cursors := m.cursorsLocked(streams.Selected(q.Public, topics, q.User), after)
	if set.Wild() {
		if ok = ok && m.mu.last > after+fewRecords; ok {
			cursors, looks, ok = m.sweepLocked(cursors, prefixes, &set, after)
		}
		if !ok {
			page, scanned := m.scanLocked(q, after, lim)
			return page, looks + scanned
		}
	}
	ids := merge.New(cursors, nil)
	b := NewPageBuilder(after, lim)
	for {
		id, ok, _ := ids.Next()
		if !ok {
			b.Reach(m.mu.last)
			return b.Page, looks
		}
		_, r := findRecord(m.mu.chunks, id)
		if r == nil {
			continue // removed out of the middle of a list
		}
		if !b.Fits(len(r.Frame)) {
			return b.Page, looks
		}
		b.AddCopy(&r.Record)
	}
}

// cursorsLocked returns where streams are read behind an ID.
func (m *Memory) cursorsLocked(names []string, after uint64) (cursors []*merge.Cursor) {
	for _, name := range names {
		key := streamKey{}
		if name != "" {
			key = streamKey{name[:1], name[1:]}
		}
		if list := m.mu.streams.Get(key); list != nil {
			cursors = append(cursors, &merge.Cursor{IDs: list.after(after), Done: true})
		}
	}
	return cursors
}

const (
	// scanBudget is how many records a Query for patterns looks at, or topics.
	scanBudget = 16 << 10

	// fewRecords is for how many IDs at most a reader of patterns goes through the records
	// at once: a client that was away for a moment wants fewer than there are topics.
	fewRecords = 256
)

// sweepLocked adds the streams of the topics with these prefixes that the set follows. ok
// is false where there are too many topics.
func (m *Memory) sweepLocked(cursors []*merge.Cursor, prefixes []string, set *TopicSet, after uint64) (_ []*merge.Cursor, looks int, ok bool) {
	for _, prefix := range prefixes {
		m.mu.byName.each(prefix, func(s *memStream) bool {
			looks++
			if last := s.ids[len(s.ids)-1]; last > after && set.Follows(s.key.name) {
				cursors = append(cursors, &merge.Cursor{IDs: s.after(after), Done: true})
			}
			return looks < scanBudget
		})
	}
	return cursors, looks, looks < scanBudget
}

// scanLocked is Query for topics with patterns where the index does not help: a pattern
// that begins with a wildcard may have topics anywhere in it.
func (m *Memory) scanLocked(q *Query, after uint64, lim Limit) (page Page, looks int) {
	b := NewPageBuilder(after, lim)
	for i := searchChunks(m.mu.chunks, after); i < len(m.mu.chunks); i++ {
		c := m.mu.chunks[i]
		for j := c.search(after); j < len(c.recs); j++ {
			r := &c.recs[j]
			if !r.dead && q.Selects(&r.Record) {
				if !b.Fits(len(r.Frame)) {
					return b.Page, looks
				}
				b.AddCopy(&r.Record)
			}
			if looks++; looks == scanBudget {
				b.Reach(r.ID)
				return b.Page, looks
			}
		}
	}
	b.Reach(m.mu.last)
	return b.Page, looks
}

// Has implements [Log].
func (m *Memory) Has(ctx context.Context, id uint64) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	m.expire()
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.mu.closed {
		return false, ErrClosed
	}
	if id == 0 {
		return false, nil
	}
	_, r := findRecord(m.mu.chunks, id)
	return r != nil, nil
}

func readError(err error) error { return fmt.Errorf("persist: read: %w", err) }
