package ringbuf

import (
	"context"
	"errors"
	"sync/atomic"
)

var (
	// ErrClosed is returned by claims after Close, and by blocking reads once
	// everything that was claimed before Close has been read.
	ErrClosed = errors.New("ringbuf: closed")

	// ErrTooMany is returned by a claim that could never be met: more
	// sequences than the ring has slots, less the widest window a reader keeps.
	ErrTooMany = errors.New("ringbuf: more sequences claimed than the ring can free")
)

// closedBias is what Close adds to claimed. It makes the ring look full for
// ever, so claims need no closed flag of their own, and the claim that comes
// last before Close is decided by the compare-and-swap that decides claims.
const closedBias = 1 << 62

// Ring is a broadcast ring: any number of producers append values, and every
// reader sees every value, in the order of the sequences.
//
// A producer claims one or more consecutive sequences, writes their slots and
// publishes them. Each reader owns a cursor (all it has processed) and a hold
// (the lowest sequence it may still look at). Slots below every reader's hold
// are reclaimed: handed to the release function and then free for producers.
// So the slowest hold, and nothing else, makes producers wait.
//
//	reclaimed < hold ≤ cursor+1 ≤ published+1 ≤ claimed+1, claimed-reclaimed ≤ Cap
//
// Room is freed by readers only. A ring without a reader takes Cap values
// and is then full for good.
//
// Claims, Publish, TryNext and Advance take no lock and allocate nothing.
// Publish of a sequence synchronizes before a TryNext or Next that returns it,
// a reader's Advance past it before the release of its slot, and the release
// before the claim that reuses the slot.
type Ring[T any] struct {
	// Fixed by the time of the first claim.
	slots    []slot[T]
	mask     uint64 // len(slots)-1
	capacity int64  // len(slots)
	start    uint64 // the sequence before the first
	release  func(seq uint64, v *T)
	readers  []*Reader[T]
	wait     WaitStrategy

	_ pad
	// Written when somebody parks or is woken; read by every Publish (roots)
	// and every reclaim (room).
	roots bell // readers that depend on no other reader
	room  gate // producers waiting for free slots

	_ pad
	// claimed is the last claimed sequence, plus closedBias once closed.
	// Moving it gives the slots of the sequences passed over to the producer
	// that moved it. Written by producers.
	claimed atomic.Uint64

	_ pad
	// reclaimed is the last sequence whose slot has been released. Storing it
	// passes those slots from the reclaimer to the producers. Written by the
	// holder of role, read by every claim.
	reclaimed atomic.Uint64

	_ pad
	// role says who may release slots; see reclaim. Written by readers whose
	// hold was the lowest.
	role atomic.Uint32

	_ pad
}

// slot is one place of the ring. It is not padded: a payload that is worth a
// ring is about a line by itself, and readers walk slots in order.
type slot[T any] struct {
	// published is the sequence whose value the slot holds. Storing it passes
	// the value from its producer to the readers. Before the first lap it is
	// one lap behind, which is no sequence that is asked for.
	published atomic.Uint64
	value     T
}

// NewRing returns a ring of at least capacity slots (rounded up to a power of
// two, at least 2) whose first claimed sequence is last+1.
//
// release is called once for each published sequence, in order, by one
// goroutine at a time, when no reader can look at the slot any more. It runs
// inside some reader's Advance, Hold or SetWindow, so it must be quick, must
// not call those methods and must not panic. It owns *v and leaves in it what
// the next producer of the slot is to find. With a nil release the ring sets
// the slot to its zero value.
func NewRing[T any](capacity int, last uint64, release func(seq uint64, v *T), opts ...Option) *Ring[T] {
	size := roundUp(capacity)
	if release == nil {
		release = func(_ uint64, v *T) {
			var zero T
			*v = zero
		}
	}
	r := &Ring[T]{
		slots:    make([]slot[T], size),
		mask:     uint64(size - 1),
		capacity: int64(size),
		start:    last,
		release:  release,
		wait:     newOptions(opts).wait,
	}
	r.claimed.Store(last)
	r.reclaimed.Store(last)
	for i := range uint64(size) {
		seq := last + 1 + i
		r.slots[seq&r.mask].published.Store(seq - uint64(size))
	}
	return r
}

// Cap returns the number of slots.
func (r *Ring[T]) Cap() int { return len(r.slots) }

// Slot returns the place of a sequence's value. A producer may use it from
// claim to publish, a reader from TryNext or Next until its hold has passed
// the sequence. A build with the tag spatecheck panics outside of that.
func (r *Ring[T]) Slot(seq uint64) *T {
	if checked {
		r.checkSlot(seq)
	}
	return &r.slots[seq&r.mask].value
}

// Peek is Slot for those who hold nothing: the place may be released, or be
// another sequence's, so only what is atomic in it may be looked at. Safe from
// any goroutine.
func (r *Ring[T]) Peek(seq uint64) *T { return &r.slots[seq&r.mask].value }

// Claimed returns the last claimed sequence. Safe from any goroutine.
func (r *Ring[T]) Claimed() uint64 {
	last, _ := r.end()
	return last
}

// Closed reports whether Close was called. Safe from any goroutine.
func (r *Ring[T]) Closed() bool {
	_, closed := r.end()
	return closed
}

// end returns the last claimed sequence and whether it will stay the last.
func (r *Ring[T]) end() (last uint64, closed bool) {
	last = r.claimed.Load()
	// Loaded second, reclaimed can be ahead of last but, without the bias,
	// never more than capacity behind it.
	if int64(last-r.reclaimed.Load()) > r.capacity {
		return last - closedBias, true
	}
	return last, false
}

// TryClaim claims the n sequences first to first+n-1 for the caller, which
// must write their slots and publish all of them. It reports false, without
// waiting, if the ring has no room for n or is closed. It panics if n < 1.
// Safe from any goroutine.
func (r *Ring[T]) TryClaim(n int) (first uint64, ok bool) {
	if n < 1 {
		panic("ringbuf: claim of less than one sequence")
	}
	if int64(n) > r.capacity {
		return 0, false
	}
	for {
		last := r.claimed.Load()
		next := last + uint64(n)
		// reclaimed only grows, so if there is room now, there still is when
		// the swap finds claimed unchanged.
		if int64(next-r.reclaimed.Load()) > r.capacity {
			return 0, false
		}
		if r.claimed.CompareAndSwap(last, next) {
			// At this point the caller owns the slots up to next.
			return last + 1, true
		}
	}
}

// Claim is TryClaim that waits for room. It fails with ErrClosed once the ring
// is closed, with ctx.Err() if ctx ends first, and with ErrTooMany if n could
// never be met. Waiting claims are not served in order. If there is room, ctx
// is not looked at. Safe from any goroutine.
func (r *Ring[T]) Claim(ctx context.Context, n int) (first uint64, err error) {
	for i := 0; ; i++ {
		if first, ok := r.TryClaim(n); ok {
			return first, nil
		}
		if err := r.refusal(n); err != nil {
			return 0, err
		}
		if r.wait.pause(i) {
			continue
		}
		opened := r.room.announce()
		if first, ok := r.TryClaim(n); ok {
			return first, nil
		}
		if err := r.refusal(n); err != nil {
			return 0, err
		}
		select {
		case <-opened:
			i = -1
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// refusal says why a claim of n is not worth waiting for; nil if it is.
func (r *Ring[T]) refusal(n int) error {
	if r.Closed() {
		return ErrClosed
	}
	room := r.capacity
	for _, rd := range r.readers {
		room = min(room, r.capacity-rd.window.Load())
	}
	if int64(n) > room {
		return ErrTooMany
	}
	return nil
}

// Publish passes the n claimed sequences from first on to the readers, which
// get them once all before them are published too. Last comes first, so a
// reader that has read up to first-1 finds either none or all of them.
func (r *Ring[T]) Publish(first uint64, n int) {
	for seq := first + uint64(n); seq != first; {
		seq--
		if checked {
			r.checkPublish(seq)
		}
		r.slots[seq&r.mask].published.Store(seq)
		// At this point the readers own the slot.
	}
	r.roots.ring()
}

// Close ends claiming: claims that wait or come later fail with ErrClosed.
// What was claimed before is still to be published, and readers get it before
// their Next returns ErrClosed. Closing again does nothing. Safe from any
// goroutine.
func (r *Ring[T]) Close() {
	for {
		last, closed := r.end()
		if closed {
			return
		}
		if r.claimed.CompareAndSwap(last, last+closedBias) {
			break
		}
	}
	r.room.open()
	for _, rd := range r.readers {
		rd.parker.wake()
	}
}
