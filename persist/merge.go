package persist

// streamCursor is the position in one index stream: the IDs found and not yet
// taken, and how far the stream is known.
//
// Invariant: ids are ascending and ≤ upTo, and no ID of the stream in between is
// missing. done says that the stream has nothing beyond upTo.
type streamCursor struct {
	name  string
	ids   []uint64
	upTo  uint64
	done  bool
	buf   []uint64 // memory of ids
	batch int      // IDs that the next refill may bring
}

// key orders cursors by the lowest ID they may yield next.
func (c *streamCursor) key() uint64 {
	if len(c.ids) > 0 {
		return c.ids[0]
	}
	return c.upTo + 1
}

// merger yields the IDs of several streams in ascending order. The streams are
// disjoint, so no ID comes twice.
type merger struct {
	heap   []*streamCursor // a binary min-heap by key
	refill func(*streamCursor) error
}

func newMerger(cursors []*streamCursor, refill func(*streamCursor) error) *merger {
	m := &merger{heap: cursors, refill: refill}
	for i := len(cursors)/2 - 1; i >= 0; i-- {
		m.down(i)
	}
	return m
}

// next returns the lowest ID of all streams; ok is false when they are exhausted.
// An error of refill is passed on, and next may be called again.
func (m *merger) next() (id uint64, ok bool, err error) {
	for len(m.heap) > 0 {
		c := m.heap[0]
		switch {
		case len(c.ids) > 0:
			id = c.ids[0]
			c.ids = c.ids[1:]
			m.down(0)
			return id, true, nil
		case c.done:
			last := len(m.heap) - 1
			m.heap[0] = m.heap[last]
			m.heap = m.heap[:last]
		default:
			if err := m.refill(c); err != nil {
				return 0, false, err
			}
		}
		m.down(0)
	}
	return 0, false, nil
}

// known returns up to where all streams are known; ok is false when they are
// exhausted. IDs that next has yielded are below it.
func (m *merger) known() (upTo uint64, ok bool) {
	if len(m.heap) == 0 {
		return 0, false
	}
	return m.heap[0].key() - 1, true
}

func (m *merger) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(m.heap) {
			return
		}
		if r := child + 1; r < len(m.heap) && m.heap[r].key() < m.heap[child].key() {
			child = r
		}
		if m.heap[i].key() <= m.heap[child].key() {
			return
		}
		m.heap[i], m.heap[child] = m.heap[child], m.heap[i]
		i = child
	}
}
