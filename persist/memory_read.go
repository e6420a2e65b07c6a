package persist

import "context"

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
	b := newPageBuilder(after, lim)
	for i := searchChunks(m.mu.chunks, after); i < len(m.mu.chunks); i++ {
		c := m.mu.chunks[i]
		for j := c.search(after); j < len(c.recs); j++ {
			r := &c.recs[j]
			if r.dead {
				continue
			}
			if !b.fits(len(r.Frame)) {
				return b.page, nil
			}
			b.addCopy(&r.Record)
		}
	}
	b.upTo(m.mu.last)
	return b.page, nil
}

// Query implements [Querier].
func (m *Memory) Query(ctx context.Context, q Query, after uint64, lim Limit) (Page, error) {
	if q.everything() {
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
	var cursors []*streamCursor
	for _, name := range q.streamNames() {
		if list := m.mu.streams[name]; list != nil {
			cursors = append(cursors, &streamCursor{ids: list.after(after), done: true})
		}
	}
	ids := newMerger(cursors, nil)
	b := newPageBuilder(after, lim)
	for {
		id, ok, _ := ids.next()
		if !ok {
			b.upTo(m.mu.last)
			return b.page, nil
		}
		_, r := findRecord(m.mu.chunks, id)
		if !b.fits(len(r.Frame)) {
			return b.page, nil
		}
		b.addCopy(&r.Record)
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
