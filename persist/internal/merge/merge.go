// Package merge puts the IDs of several streams of an index into one order.
package merge

// Cursor is the position in one index stream: the IDs found and not yet
// taken, and how far the stream is known.
//
// Invariant: IDs are ascending and ≤ UpTo, and no ID of the stream in between is
// missing. Done says that the stream has nothing beyond UpTo.
type Cursor struct {
	Name  string
	Many  bool // Name is only what the names of the streams begin with
	IDs   []uint64
	UpTo  uint64
	Done  bool
	Buf   []uint64 // memory of ids
	Batch int      // IDs that the next refill may bring
}

// key orders cursors by the lowest ID they may yield next.
func (c *Cursor) key() uint64 {
	if len(c.IDs) > 0 {
		return c.IDs[0]
	}
	return c.UpTo + 1
}

// Merger yields the IDs of several streams in ascending order. The streams are
// disjoint, so no ID comes twice.
type Merger struct {
	heap   []*Cursor // a binary min-heap by key
	refill func(*Cursor) error
}

// New returns a Merger of the cursors, which are its own from then on. refill is called
// for one that has no IDs left and is not Done, and gets it further.
func New(cursors []*Cursor, refill func(*Cursor) error) *Merger {
	m := &Merger{heap: cursors, refill: refill}
	for i := len(cursors)/2 - 1; i >= 0; i-- {
		m.down(i)
	}
	return m
}

// Next returns the lowest ID of all streams; ok is false when they are exhausted.
// An error of refill is passed on, and Next may be called again.
func (m *Merger) Next() (id uint64, ok bool, err error) {
	for len(m.heap) > 0 {
		c := m.heap[0]
		switch {
		case len(c.IDs) > 0:
			id = c.IDs[0]
			c.IDs = c.IDs[1:]
			m.down(0)
			return id, true, nil
		case c.Done:
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

// Known returns up to where all streams are known; ok is false when they are
// exhausted. IDs that Next has yielded are below it.
func (m *Merger) Known() (upTo uint64, ok bool) {
	if len(m.heap) == 0 {
		return 0, false
	}
	return m.heap[0].key() - 1, true
}

func (m *Merger) down(i int) {
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
