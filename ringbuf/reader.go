package ringbuf

import (
	"context"
	"sync/atomic"
)

// Reader is one reader of a [Ring]. It is used by one goroutine at a time,
// and handing it to another goroutine must synchronize; only Cursor,
// Available and Held are safe from any goroutine.
//
// A reader that stops reading makes producers wait as soon as the ring has
// wrapped around to its hold.
type Reader[T any] struct {
	// Fixed by the time of the first claim.
	ring  *Ring[T]
	after []*Reader[T] // this reader stays behind each of them

	// window is how many processed sequences stay held. Written by SetWindow,
	// read by every Advance and by claims that have to wait.
	window atomic.Int64

	// Written when this reader or one that depends on it parks or is woken.
	parker     parker
	dependents bell

	_ pad
	// known is the owner's own copy of how far it may read, so that the far
	// slots and cursors are looked at only when it is used up.
	//
	// Invariant: cursor ≤ known ≤ what is published and passed by all of after.
	known uint64

	_ pad
	// cursor is the last processed sequence. Storing it passes the sequences
	// up to it to the readers that depend on this one. Written by the owner.
	cursor atomic.Uint64
	// hold is the lowest sequence the owner may still look at; it only grows.
	// Storing it passes the slots below it to the reclaimer. Written by the
	// owner, together with cursor as a rule, and so on the same line.
	//
	// Invariant: hold ≤ cursor+1.
	hold atomic.Uint64

	_ pad
}

// NewReader adds a reader, to be called before the first claim only; it panics
// later. The reader gets what is published and, if after is given, what all of
// those readers (of the same ring) have advanced past.
func (r *Ring[T]) NewReader(after ...*Reader[T]) *Reader[T] {
	if last, closed := r.end(); closed || last != r.start {
		panic("ringbuf: NewReader after the first claim or Close")
	}
	rd := &Reader[T]{ring: r, after: after, parker: newParker(), known: r.start}
	rd.cursor.Store(r.start)
	rd.hold.Store(r.start + 1)
	for _, a := range after {
		if a.ring != r {
			panic("ringbuf: NewReader after a reader of another ring")
		}
		a.dependents.join(&rd.parker)
	}
	if len(after) == 0 {
		r.roots.join(&rd.parker)
	}
	r.readers = append(r.readers, rd)
	return rd
}

// TryNext returns the consecutive sequences from..to that can be read now, at
// most limit of them (limit < 1 is no limit); ok is false if there are none.
// It never waits and moves nothing: until Advance, it returns the same from.
func (rd *Reader[T]) TryNext(limit int) (from, to uint64, ok bool) {
	cursor := rd.cursor.Load()
	want := uint64(limit)
	if limit < 1 || int64(limit) > rd.ring.capacity {
		want = uint64(rd.ring.capacity)
	}
	if rd.known-cursor < want {
		rd.known = rd.readable(rd.known)
		if rd.known == cursor {
			return 0, 0, false
		}
	}
	return cursor + 1, cursor + min(rd.known-cursor, want), true
}

// readable returns how far the reader may read, if it may read up to known.
func (rd *Reader[T]) readable(known uint64) uint64 {
	if len(rd.after) > 0 {
		return rd.passed()
	}
	return rd.ring.published(known)
}

// passed returns the lowest cursor of the readers that rd depends on. What
// they have passed is published, so the slots need not be looked at.
func (rd *Reader[T]) passed() uint64 {
	low := rd.after[0].cursor.Load()
	for _, a := range rd.after[1:] {
		if c := a.cursor.Load(); behind(c, low) {
			low = c
		}
	}
	return low
}

// published returns the last sequence that is published together with all
// between it and known. It looks once at each slot passed, and stops at the
// latest where the producers do.
func (r *Ring[T]) published(known uint64) uint64 {
	for r.slots[(known+1)&r.mask].published.Load() == known+1 {
		known++
	}
	return known
}

// Next is TryNext that waits until there is something to read. It fails with
// ErrClosed when the ring is closed and the reader has advanced past
// everything claimed before, and with ctx.Err() if ctx ends first. If there is
// something to read, ctx is not looked at.
func (rd *Reader[T]) Next(ctx context.Context, limit int) (from, to uint64, err error) {
	for i := 0; ; i++ {
		if from, to, ok := rd.TryNext(limit); ok {
			return from, to, nil
		}
		if rd.drained() {
			return 0, 0, ErrClosed
		}
		if rd.ring.wait.pause(i) {
			continue
		}
		rd.parker.announce()
		if from, to, ok := rd.TryNext(limit); ok {
			rd.parker.retract()
			return from, to, nil
		}
		if rd.drained() {
			rd.parker.retract()
			return 0, 0, ErrClosed
		}
		if err := rd.parker.wait(ctx); err != nil {
			return 0, 0, err
		}
		i = -1
	}
}

// drained reports whether nothing can follow what the reader has processed.
func (rd *Reader[T]) drained() bool {
	last, closed := rd.ring.end()
	return closed && rd.cursor.Load() == last
}

// Advance says that all sequences up to to, which TryNext or Next has
// returned, are processed. It passes them to the readers that depend on this
// one, raises the hold to to+1 less the window, and releases the slots that
// nobody holds any more. Advancing to the cursor does nothing; it panics on a
// sequence before the cursor or after what the last TryNext or Next found.
func (rd *Reader[T]) Advance(to uint64) {
	cursor := rd.cursor.Load()
	if to-cursor > rd.known-cursor {
		panic("ringbuf: Advance outside of what the reader was given")
	}
	if to == cursor {
		return
	}
	rd.cursor.Store(to)
	// At this point the dependent readers may read up to to.
	rd.dependents.ring()
	rd.raise(to + 1 - uint64(rd.window.Load()))
}

// Hold says that the reader looks at nothing before low any more. It lets go
// of history that the window would have kept; the window fills up again as the
// reader advances. A low before Held does nothing, and one after cursor+1
// counts as cursor+1.
func (rd *Reader[T]) Hold(low uint64) {
	if next := rd.cursor.Load() + 1; behind(next, low) {
		low = next
	}
	rd.raise(low)
}

// SetWindow keeps the last n processed sequences held: from now on Advance(to)
// leaves to-n+1..to readable by this reader. A wider window fills up as the
// reader advances, a narrower one lets go at once. It panics unless
// 0 ≤ n < Cap. The default is 0.
func (rd *Reader[T]) SetWindow(n int) {
	if n < 0 || int64(n) >= rd.ring.capacity {
		panic("ringbuf: window outside of 0..Cap-1")
	}
	rd.window.Store(int64(n))
	rd.raise(rd.cursor.Load() + 1 - uint64(n))
}

// raise moves the hold up to low and has the freed slots reclaimed.
func (rd *Reader[T]) raise(low uint64) {
	old := rd.hold.Load()
	if !behind(old, low) {
		return
	}
	rd.hold.Store(low)
	// Only the lowest hold keeps slots from being reclaimed. If this one was
	// above reclaimed+1 before, another one is lower, or the reclaimer is
	// about to store reclaimed and looks at the holds again afterwards.
	if !behind(rd.ring.reclaimed.Load()+1, old) {
		rd.ring.reclaim()
	}
}

// Cursor returns the last processed sequence. Safe from any goroutine.
func (rd *Reader[T]) Cursor() uint64 { return rd.cursor.Load() }

// Held returns the lowest sequence that is still held, which is cursor+1 if
// none of the processed ones is. Safe from any goroutine; only to the owner
// does it promise that the slot is still there.
func (rd *Reader[T]) Held() uint64 { return rd.hold.Load() }

// Available returns the last sequence that the reader could read now, which
// is Cursor if there is nothing new. Safe from any goroutine. For a reader
// that depends on no other it looks at every slot between the two.
func (rd *Reader[T]) Available() uint64 {
	return rd.readable(rd.cursor.Load())
}
