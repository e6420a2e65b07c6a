package ringbuf

import "sync/atomic"

// MPMC is a bounded queue for many producers and many consumers, without a
// lock. It never waits and allocates nothing after NewMPMC.
//
// A push or pop that is under way can make the queue look full or empty to
// others for its duration, although later ones are complete: who goes away on
// a false must be called back by whoever acts on a true, as a scheduler does
// that signals after each push.
type MPMC[T any] struct {
	// Fixed.
	cells []cell[T]
	mask  uint64

	_ pad
	// tail is the next index to push at. Moving it gives the cell to the
	// producer that moved it. Written by producers.
	tail atomic.Uint64

	_ pad
	// head is the next index to pop at. Moving it gives the cell to the
	// consumer that moved it. Written by consumers.
	head atomic.Uint64

	_ pad
}

// cell is one place of an MPMC.
type cell[T any] struct {
	// turn says whose the cell is: i to the producer of index i, i+1 to the
	// consumer of index i, and i+len(cells) to the producer of the next lap.
	// Storing it passes the value, or the cleared cell, on.
	turn  atomic.Uint64
	value T
}

// NewMPMC returns an empty queue for at least capacity values (rounded up to
// a power of two, at least 2).
func NewMPMC[T any](capacity int) *MPMC[T] { return newMPMC[T](capacity, 0) }

// newMPMC starts at an index other than 0.
func newMPMC[T any](capacity int, start uint64) *MPMC[T] {
	size := roundUp(capacity)
	q := &MPMC[T]{cells: make([]cell[T], size), mask: uint64(size - 1)}
	q.tail.Store(start)
	q.head.Store(start)
	for i := range uint64(size) {
		q.cells[(start+i)&q.mask].turn.Store(start + i)
	}
	return q
}

// TryPush adds v; it reports false, and v stays the caller's, if the queue is
// full. A push synchronizes before the pop of its value. Safe from any
// goroutine.
func (q *MPMC[T]) TryPush(v T) bool {
	for {
		tail := q.tail.Load()
		c := &q.cells[tail&q.mask]
		turn := c.turn.Load()
		if turn == tail {
			if q.tail.CompareAndSwap(tail, tail+1) {
				c.value = v
				c.turn.Store(tail + 1)
				// At this point the consumers own the cell.
				return true
			}
		} else if behind(turn, tail) && q.tail.Load() == tail {
			return false
		}
	}
}

// TryPop removes the oldest value; ok is false if there is none. Safe from any
// goroutine.
func (q *MPMC[T]) TryPop() (v T, ok bool) {
	for {
		head := q.head.Load()
		c := &q.cells[head&q.mask]
		turn := c.turn.Load()
		if turn == head+1 {
			if q.head.CompareAndSwap(head, head+1) {
				v = c.value
				var zero T
				c.value = zero // so that the queue keeps nothing alive
				c.turn.Store(head + uint64(len(q.cells)))
				// At this point the producers own the cell.
				return v, true
			}
		} else if behind(turn, head+1) && q.head.Load() == head {
			return v, false
		}
	}
}

// Len returns the number of values, those being pushed included; while others
// push and pop, a recent one.
func (q *MPMC[T]) Len() int {
	head := q.head.Load()
	n := int64(q.tail.Load() - head)
	return int(min(n, int64(len(q.cells)))) // head may have moved on meanwhile
}

// Cap returns the largest number of values.
func (q *MPMC[T]) Cap() int { return len(q.cells) }
