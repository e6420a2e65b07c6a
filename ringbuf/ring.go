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

// closedBias is what Close adds to the sequence in claimed. It makes the ring
// look full for ever, so claims need no closed flag of their own, and the claim
// that comes last before Close is decided by the compare-and-swap that decides
// claims.
const closedBias = 1 << 30

// maxCapacity keeps a full ring from looking closed, and a closed one from
// looking empty, on the circle of 32 bits that sequences are claimed on.
const maxCapacity = 1 << 29

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
	after    func() // a run of releases
	readers  []*Reader[T]
	wait     WaitStrategy

	_ pad
	// Written when somebody parks or is woken; read by every Publish (roots)
	// and every reclaim (room).
	roots bell // readers that depend on no other reader
	room  gate // producers waiting for free slots

	_ pad
	// claimed is the last claimed sequence and the last claimed number; see
	// packed. Moving it gives the slots of the sequences passed over, and the
	// numbers, to the producer that moved it. Written by producers.
	claimed atomic.Uint64

	_ pad
	// reclaimed is the last sequence whose slot has been released. Storing it
	// passes those slots from the reclaimer to the producers. Written by the
	// holder of role, read by every claim.
	reclaimed atomic.Uint64
	// numbered is a number claimed not long ago, to which the low bits of the
	// last one belong. Stored before the room that makes a later one possible.
	// Written by the holder of role, read by every claim.
	numbered atomic.Uint64

	_ pad
	// role says who may release slots; see reclaim. Written by readers whose
	// hold was the lowest.
	role atomic.Uint32
	// renumbered is how far reclaimed was when numbered was stored last. The
	// holder of role only.
	renumbered uint64

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
// It panics for a capacity beyond 2^29.
//
// release is called once for each published sequence, in order, by one
// goroutine at a time, when no reader can look at the slot any more. It runs
// inside some reader's Advance, Hold or SetWindow, so it must be quick, must
// not call those methods and must not panic. It owns *v and leaves in it what
// the next producer of the slot is to find. With a nil release the ring sets
// the slot to its zero value.
func NewRing[T any](capacity int, last uint64, release func(seq uint64, v *T), opts ...Option) *Ring[T] {
	size := roundUp(capacity)
	if size > maxCapacity {
		panic("ringbuf: capacity beyond 2^29")
	}
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
	}
	o := newOptions(opts)
	r.wait, r.after = o.wait, o.after
	r.claimed.Store(pack(last, o.number))
	r.reclaimed.Store(last)
	r.numbered.Store(o.number)
	r.renumbered = last
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

// Last returns the last claimed sequence together with the last claimed number,
// as one claim left them. Safe from any goroutine.
func (r *Ring[T]) Last() (seq, number uint64) {
	seq, number, _ = r.state()
	return seq, number
}

// end returns the last claimed sequence and whether it will stay the last.
func (r *Ring[T]) end() (last uint64, closed bool) {
	for {
		word := r.claimed.Load()
		last, closed = r.sequence(word)
		if r.claimed.Load() == word {
			return last, closed
		}
		// reclaimed may have run away from word.
	}
}

// state is what claimed says, in full.
func (r *Ring[T]) state() (last, number uint64, closed bool) {
	for {
		word := r.claimed.Load()
		last, number, closed = r.unpack(word)
		if r.claimed.Load() == word {
			return last, number, closed
		}
	}
}

// TryClaim claims the n sequences first to first+n-1 for the caller, which
// must write their slots and publish all of them. It reports false, without
// waiting, if the ring has no room for n or is closed. It panics if n < 1.
// Safe from any goroutine.
func (r *Ring[T]) TryClaim(n int) (first uint64, ok bool) {
	first, _, ok = r.TryClaimNumbered(n, 0)
	return first, ok
}

// TryClaimNumbered is TryClaim that claims numbers too, as many as numbered says,
// from 0 to n: number and those that follow. Numbers count by themselves, from
// where [WithNumber] says, in the order of the sequences: of two claims, the one
// with the lower sequences has the lower numbers.
func (r *Ring[T]) TryClaimNumbered(n, numbered int) (first, number uint64, ok bool) {
	if n < 1 || numbered < 0 || numbered > n {
		panic("ringbuf: claim of less than one sequence, or of more numbers")
	}
	if int64(n) > r.capacity {
		return 0, 0, false
	}
	for {
		word := r.claimed.Load()
		seq, num := halves(word)
		next := seq + uint32(n)
		reclaimed := r.reclaimed.Load()
		// reclaimed only grows, so if there is room now, there still is when
		// the swap finds claimed unchanged.
		if int64(int32(next-uint32(reclaimed))) > r.capacity {
			return 0, 0, false
		}
		ref := r.numbered.Load()
		if r.claimed.CompareAndSwap(word, uint64(next)<<32|uint64(num+uint32(numbered))) {
			// At this point the caller owns the slots up to next.
			return extend(reclaimed, seq) + 1, extend(ref, num) + 1, true
		}
	}
}

// Claim is TryClaim that waits for room. It fails with ErrClosed once the ring
// is closed, with ctx.Err() if ctx ends first, and with ErrTooMany if n could
// never be met. Waiting claims are not served in order. If there is room, ctx
// is not looked at. Safe from any goroutine.
func (r *Ring[T]) Claim(ctx context.Context, n int) (first uint64, err error) {
	first, _, err = r.ClaimNumbered(ctx, n, 0)
	return first, err
}

// ClaimNumbered is TryClaimNumbered that waits for room as Claim does.
func (r *Ring[T]) ClaimNumbered(ctx context.Context, n, numbered int) (first, number uint64, err error) {
	for i := 0; ; i++ {
		if first, number, ok := r.TryClaimNumbered(n, numbered); ok {
			return first, number, nil
		}
		if err := r.refusal(n); err != nil {
			return 0, 0, err
		}
		if r.wait.pause(i) {
			continue
		}
		opened := r.room.announce()
		if first, number, ok := r.TryClaimNumbered(n, numbered); ok {
			return first, number, nil
		}
		if err := r.refusal(n); err != nil {
			return 0, 0, err
		}
		select {
		case <-opened:
			i = -1
		case <-ctx.Done():
			return 0, 0, ctx.Err()
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
		word := r.claimed.Load()
		if _, _, closed := r.unpack(word); closed {
			return
		}
		if r.claimed.CompareAndSwap(word, word+closedBias<<32) {
			break
		}
	}
	r.room.open()
	for _, rd := range r.readers {
		rd.parker.wake()
	}
}
