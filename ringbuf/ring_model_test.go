package ringbuf_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/ringbuf"
)

// twin is a ring as dumb as can be: it remembers everything, counts in int
// from 1, and works everything out anew.
type twin struct {
	capacity  int
	claimed   int
	published map[int]bool
	closed    bool
	readers   []*twinReader
}

type twinReader struct {
	after                []int // indices of the readers before it
	cursor, hold, window int
}

func (w *twin) released() int {
	low := w.readers[0].hold
	for _, rd := range w.readers {
		low = min(low, rd.hold)
	}
	return low - 1
}

func (w *twin) available(rd *twinReader) int {
	to := 0
	for w.published[to+1] {
		to++
	}
	for _, a := range rd.after {
		to = min(to, w.readers[a].cursor)
	}
	return to
}

// modelRun drives a ring and its twin by the same operations and compares all
// that can be seen of them after each.
type modelRun struct {
	t        *testing.T
	start    uint64
	ring     *ringbuf.Ring[int]
	readers  []*ringbuf.Reader[int]
	twin     *twin
	open     [][2]int // claims not yet published: first, n
	released int      // by the callback
	history  []string
	input    []byte
}

// next returns the next number of the input, less than n; 0 at its end.
func (m *modelRun) next(n int) int {
	if len(m.input) == 0 {
		return 0
	}
	b := m.input[0]
	m.input = m.input[1:]
	return int(b) % n
}

func (m *modelRun) log(format string, args ...any) {
	m.history = append(m.history, fmt.Sprintf(format, args...))
}

func (m *modelRun) require(ok bool, format string, args ...any) {
	if !ok {
		m.t.Fatalf("%s\nafter %q", fmt.Sprintf(format, args...), m.history)
	}
}

// runModel reads a ring's shape and then operations from input.
func runModel(t *testing.T, input []byte) {
	m := &modelRun{t: t, input: input}
	capacity := 2 << m.next(4)
	m.start = starts[m.next(len(starts))]
	m.ring = ringbuf.NewRing(capacity, m.start, m.onRelease)
	m.twin = &twin{capacity: capacity, published: map[int]bool{}}
	for i := range 1 + m.next(4) {
		w := &twinReader{hold: 1}
		var after []*ringbuf.Reader[int]
		for bits, j := m.next(8), 0; j < i; j++ {
			if bits>>j&1 == 1 {
				w.after = append(w.after, j)
				after = append(after, m.readers[j])
			}
		}
		m.twin.readers = append(m.twin.readers, w)
		m.readers = append(m.readers, m.ring.NewReader(after...))
	}
	m.log("capacity %d start %d readers %d", capacity, m.start, len(m.readers))
	for len(m.input) > 0 {
		m.step()
		m.compare()
	}
	m.finish()
}

// onRelease requires that each sequence is released once and in order, with
// its value still there.
func (m *modelRun) onRelease(seq uint64, v *int) {
	m.released++
	m.require(seq == m.start+uint64(m.released), "released %d as the %d-th", seq-m.start, m.released)
	m.require(*v == m.released, "value of %d released as %d", m.released, *v)
	*v = -1
}

func (m *modelRun) step() {
	i := m.next(len(m.readers))
	rd, w := m.readers[i], m.twin.readers[i]
	switch m.next(9) {
	case 0, 1:
		m.claim(1 + m.next(m.twin.capacity+1))
	case 2, 3:
		m.publish()
	case 4, 5, 6:
		m.read(rd, w)
	case 7:
		low := w.hold - 2 + m.next(m.twin.capacity+4)
		m.log("hold %d", low)
		rd.Hold(m.start + uint64(low))
		w.hold = max(w.hold, min(low, w.cursor+1))
	case 8:
		w.window = m.next(m.twin.capacity)
		m.log("window %d", w.window)
		rd.SetWindow(w.window)
		w.hold = max(w.hold, w.cursor+1-w.window)
	}
}

func (m *modelRun) claim(n int) {
	first, ok := m.ring.TryClaim(n)
	m.log("claim %d %v", n, ok)
	fits := !m.twin.closed && m.twin.claimed+n-m.twin.released() <= m.twin.capacity
	m.require(ok == fits, "claim of %d reports %v", n, ok)
	if !ok {
		return
	}
	m.require(first == m.start+uint64(m.twin.claimed)+1, "claimed from %d", first-m.start)
	for seq := first; seq != first+uint64(n); seq++ {
		*m.ring.Slot(seq) = int(seq - m.start)
	}
	m.open = append(m.open, [2]int{m.twin.claimed + 1, n})
	m.twin.claimed += n
}

func (m *modelRun) publish() {
	if len(m.open) == 0 {
		return
	}
	i := m.next(len(m.open))
	c := m.open[i]
	m.open = append(m.open[:i], m.open[i+1:]...)
	m.log("publish %d", c)
	m.ring.Publish(m.start+uint64(c[0]), c[1])
	for s := c[0]; s < c[0]+c[1]; s++ {
		m.twin.published[s] = true
	}
}

func (m *modelRun) read(rd *ringbuf.Reader[int], w *twinReader) {
	limit := m.next(m.twin.capacity + 2)
	from, to, ok := rd.TryNext(limit)
	m.log("next %d %v", limit, ok)
	end := m.twin.available(w)
	if limit > 0 {
		end = min(end, w.cursor+limit)
	}
	m.require(ok == (end > w.cursor), "next reports %v", ok)
	if !ok {
		return
	}
	m.require(from == m.start+uint64(w.cursor)+1 && to == m.start+uint64(end),
		"next gives %d..%d, not %d..%d", from-m.start, to-m.start, w.cursor+1, end)
	for s := w.hold; s <= end; s++ {
		m.require(*m.ring.Slot(m.start + uint64(s)) == s, "value of %d is gone", s)
	}
	w.cursor += m.next(end - w.cursor + 1)
	m.log("advance %d", w.cursor)
	rd.Advance(m.start + uint64(w.cursor))
	w.hold = max(w.hold, w.cursor+1-w.window)
}

func (m *modelRun) compare() {
	m.require(m.ring.Claimed() == m.start+uint64(m.twin.claimed), "Claimed %d", m.ring.Claimed()-m.start)
	m.require(m.ring.Closed() == m.twin.closed, "Closed %v", m.ring.Closed())
	m.require(m.released == m.twin.released(), "released %d, not %d", m.released, m.twin.released())
	for i, rd := range m.readers {
		w := m.twin.readers[i]
		m.require(rd.Cursor() == m.start+uint64(w.cursor), "Cursor %d", rd.Cursor()-m.start)
		m.require(rd.Held() == m.start+uint64(w.hold), "Held %d", rd.Held()-m.start)
		m.require(rd.Available() == m.start+uint64(m.twin.available(w)), "Available %d", rd.Available()-m.start)
	}
}

// finish closes the ring at whatever point it is, drains and empties it.
func (m *modelRun) finish() {
	m.ring.Close()
	m.twin.closed = true
	m.compare()
	m.claim(1)
	for len(m.open) > 0 {
		m.publish()
	}
	for i, rd := range m.readers { // readers depend on earlier ones only
		if _, to, ok := rd.TryNext(0); ok {
			rd.Advance(to)
			w := m.twin.readers[i]
			w.cursor = m.twin.available(w)
			w.hold = max(w.hold, w.cursor+1-w.window)
		}
		_, _, err := rd.Next(m.t.Context(), 0)
		require.ErrorIs(m.t, err, ringbuf.ErrClosed)
	}
	m.compare()
	m.ring.ReleaseAll()
	m.require(m.released == m.twin.claimed, "ReleaseAll ends at %d", m.released)
}

// Any sequence of operations does to a ring what it does to its twin.
func TestRingAgainstTwin(t *testing.T) {
	rng := newRand(newSeed(t), 0)
	input := make([]byte, 1200)
	for range 120 {
		for i := range input {
			input[i] = byte(rng.Uint32())
		}
		runModel(t, input)
	}
}

func FuzzRing(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 1, 0, 0, 0, 1, 0, 2, 0, 0, 4, 0, 1})                                        // claim, publish, read
	f.Add([]byte{0, 2, 1, 0, 1, 0, 0, 1, 0, 0, 0, 2, 1, 0, 2, 0, 0, 4, 0, 2, 1, 4, 0, 2})       // out of order, two readers
	f.Add([]byte{0, 1, 0, 0, 0, 8, 1, 0, 0, 1, 0, 2, 0, 0, 4, 0, 2, 0, 0, 1, 0, 7, 3, 0, 8, 0}) // window, hold
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) > 4096 {
			t.Skip("longer inputs find nothing new")
		}
		runModel(t, input)
	})
}
