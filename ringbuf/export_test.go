package ringbuf

// Reclaimed returns the last released sequence.
func (r *Ring[T]) Reclaimed() uint64 { return r.reclaimed.Load() }

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

// NewMPMCAt is NewMPMC with an index to start at.
func NewMPMCAt[T any](capacity int, start uint64) *MPMC[T] { return newMPMC[T](capacity, start) }
