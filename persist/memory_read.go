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
