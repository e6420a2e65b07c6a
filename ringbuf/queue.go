package ringbuf

import (
	"context"
	"sync/atomic"
)

// Queue is a bounded queue for a single producer (TryPush) and a single
// consumer (TryPop, Pop). Close, Len and Cap are safe from any goroutine.
// Handing either role to another goroutine must synchronize.
//
// Calls other than a Pop that waits take no lock, and none allocates.
type Queue[T any] struct {
	// Fixed.
	slots []T
	mask  uint64
	bound uint64 // capacity asked for, ≤ len(slots)
	wait  WaitStrategy

	_ pad
	// parker is the waiting consumer. Written when it parks or is woken, read
	// by every TryPush.
	parker parker

	_ pad
	// tail is twice the index of the next slot to fill, plus 1 once closed:
	// one word, so that a push and Close have an order. Moving it passes the
	// slot to the consumer. Written by the producer, and once by Close.
	//
	// Invariant: 0 ≤ tail-head ≤ bound.
	tail atomic.Uint64
	// knownHead is the producer's own copy of head, renewed only when by it
	// the queue is full.
	knownHead uint64

	_ pad
	// head is twice the index of the oldest value. Storing it passes the
	// cleared slot back to the producer. Written by the consumer.
	head atomic.Uint64
	// knownTail is the consumer's own copy of tail without the closed bit,
	// renewed only when by it the queue is empty.
	knownTail uint64

	_ pad
}

// Indices are kept doubled in tail and head.
const (
	queueClosed = 1
	queueStep   = 2
)

// NewQueue returns an empty queue for capacity values (at least 1).
func NewQueue[T any](capacity int, opts ...Option) *Queue[T] {
	capacity = max(capacity, 1)
	size := roundUp(capacity)
	return &Queue[T]{
		slots:  make([]T, size),
		mask:   uint64(size - 1),
		bound:  uint64(capacity),
		wait:   newOptions(opts).wait,
		parker: newParker(),
	}
}

// TryPush adds v. It reports false, and v stays the caller's, if the queue is
// full or closed. A push synchronizes before the pop of its value. Producer
// only.
func (q *Queue[T]) TryPush(v T) bool {
	tail := q.tail.Load()
	if tail&queueClosed != 0 {
		return false
	}
	if (tail-q.knownHead)/queueStep >= q.bound {
		q.knownHead = q.head.Load()
		if (tail-q.knownHead)/queueStep >= q.bound {
			return false
		}
	}
	slot := &q.slots[tail/queueStep&q.mask]
	*slot = v
	if !q.tail.CompareAndSwap(tail, tail+queueStep) {
		// Closed since: nobody else writes tail.
		var zero T
		*slot = zero
		return false
	}
	// At this point the consumer owns the slot.
	q.parker.wake()
	return true
}

// TryPop removes the oldest value; ok is false if there is none. Values pushed
// before Close are still returned after it. Consumer only.
func (q *Queue[T]) TryPop() (v T, ok bool) {
	head := q.head.Load()
	if head == q.knownTail {
		q.knownTail = q.tail.Load() &^ queueClosed
		if head == q.knownTail {
			return v, false
		}
	}
	slot := &q.slots[head/queueStep&q.mask]
	v = *slot
	var zero T
	*slot = zero // so that the queue keeps nothing alive
	q.head.Store(head + queueStep)
	// At this point the producer owns the slot.
	return v, true
}

// Pop is TryPop that waits for a value. It fails with ErrClosed when the queue
// is closed and empty, and with ctx.Err() if ctx ends first. If there is a
// value, ctx is not looked at. Consumer only.
func (q *Queue[T]) Pop(ctx context.Context) (v T, err error) {
	for i := 0; ; i++ {
		if v, ok := q.TryPop(); ok {
			return v, nil
		}
		if q.drained() {
			return v, ErrClosed
		}
		if q.wait.pause(i) {
			continue
		}
		q.parker.announce()
		if v, ok := q.TryPop(); ok {
			q.parker.retract()
			return v, nil
		}
		if q.drained() {
			q.parker.retract()
			return v, ErrClosed
		}
		if err := q.parker.wait(ctx); err != nil {
			return v, err
		}
		i = -1
	}
}

// drained reports whether the queue is closed and empty.
func (q *Queue[T]) drained() bool { return q.tail.Load() == q.head.Load()|queueClosed }

// Close makes later pushes fail. Values pushed before can still be popped;
// then Pop returns ErrClosed. Closing again does nothing.
func (q *Queue[T]) Close() {
	q.tail.Or(queueClosed)
	q.parker.wake()
}

// Closed reports whether Close was called. Safe from any goroutine.
func (q *Queue[T]) Closed() bool { return q.tail.Load()&queueClosed != 0 }

// Len returns the number of values; while others push and pop, a recent one.
func (q *Queue[T]) Len() int {
	head := q.head.Load()
	n := (q.tail.Load() - head) / queueStep
	return int(min(n, q.bound)) // head may have moved on meanwhile
}

// Cap returns the largest number of values.
func (q *Queue[T]) Cap() int { return int(q.bound) }
