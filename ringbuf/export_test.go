package ringbuf

// Jump makes the ring, which has no reader and nothing unreleased, one through
// which n more sequences, each with a number, have gone.
func (r *Ring[T]) Jump(n uint64) {
	for n > 0 {
		step := min(n, uint64(r.capacity))
		n -= step
		last, number := r.Last()
		r.claimed.Store(pack(last+step, number+step))
		r.renumber(last + step)
		r.reclaimed.Store(last + step)
	}
	last, _ := r.Last()
	for i := range uint64(r.capacity) {
		seq := last + 1 + i
		r.slots[seq&r.mask].published.Store(seq - uint64(r.capacity))
	}
}

// Reclaimed returns the last released sequence.
func (r *Ring[T]) Reclaimed() uint64 { return r.reclaimed.Load() }

// Value returns the place of a sequence's value, whoever owns it.
func (r *Ring[T]) Value(seq uint64) *T { return &r.slots[seq&r.mask].value }

// Sleepers returns how many root readers are counted as parked.
func (r *Ring[T]) Sleepers() int { return int(r.roots.sleepers.Load()) }

// Dependents returns how many readers are counted as parked behind this one.
func (rd *Reader[T]) Dependents() int { return int(rd.dependents.sleepers.Load()) }

// Waited reports whether a producer has parked since room was freed last.
func (r *Ring[T]) Waited() bool { return r.room.shared.Load() != nil }

// NewQueueAt is NewQueue with an index to start at, of which the top bit is
// lost.
func NewQueueAt[T any](capacity int, start uint64, opts ...Option) *Queue[T] {
	q := NewQueue[T](capacity, opts...)
	start *= queueStep
	q.tail.Store(start)
	q.head.Store(start)
	q.knownHead, q.knownTail = start, start
	return q
}

// Slots returns the queue's places, which are zero where there is no value.
func (q *Queue[T]) Slots() []T { return q.slots }

// NewMPMCAt is NewMPMC with an index to start at.
func NewMPMCAt[T any](capacity int, start uint64) *MPMC[T] { return newMPMC[T](capacity, start) }

// Values returns what is in the cells, which is zero where there is no value.
func (q *MPMC[T]) Values() []T {
	var values []T
	for i := range q.cells {
		values = append(values, q.cells[i].value)
	}
	return values
}

// Linked reports whether the node keeps another one alive.
func (n *Node[T]) Linked() bool { return n.next.Load() != nil }
