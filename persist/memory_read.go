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
	if set := NewTopicSet(q.Topics); set.Wild() {
		return m.scanLocked(&q, after, lim), nil
	}
	var cursors []*merge.Cursor
	for _, name := range streams.Selected(q.Public, q.Topics, q.User) {
		key := streamKey{}
		if name != "" {
			key = streamKey{name[:1], name[1:]}
		}
		if list := m.mu.streams.Get(key); list != nil {
			cursors = append(cursors, &merge.Cursor{IDs: list.after(after), Done: true})
		}
	}
	ids := merge.New(cursors, nil)
	b := NewPageBuilder(after, lim)
	for {
		id, ok, _ := ids.Next()
		if !ok {
			b.Reach(m.mu.last)
			return b.Page, nil
		}
		_, r := findRecord(m.mu.chunks, id)
		if r == nil {
			continue // removed out of the middle of a list
		}
		if !b.Fits(len(r.Frame)) {
			return b.Page, nil
		}
		b.AddCopy(&r.Record)
	}
}

// scanBudget is how many records a Query for patterns looks at.
const scanBudget = 16 << 10

// scanLocked is Query for topics with patterns: the index has a stream for each
// topic, and a pattern may have any number of topics.
func (m *Memory) scanLocked(q *Query, after uint64, lim Limit) Page {
	b := NewPageBuilder(after, lim)
	left := scanBudget
	for i := searchChunks(m.mu.chunks, after); i < len(m.mu.chunks); i++ {
		c := m.mu.chunks[i]
		for j := c.search(after); j < len(c.recs); j++ {
			r := &c.recs[j]
			if !r.dead && q.Selects(&r.Record) {
				if !b.Fits(len(r.Frame)) {
					return b.Page
				}
				b.AddCopy(&r.Record)
			}
			if left--; left == 0 {
				b.Reach(r.ID)
				return b.Page
			}
		}
	}
	b.Reach(m.mu.last)
	return b.Page
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
