package ringbuf

// States of Ring.role.
const (
	roleFree    = iota // nobody reclaims
	roleHeld           // one goroutine reclaims
	rolePending        // one goroutine reclaims and must look at the holds again
)

// reclaim releases the slots below every reader's hold. It is called by a
// reader after it has raised its hold; it never waits: if another reader is
// at it, that one is told to look again and does the work.
//
// No raise is overlooked. A reader that raises its hold either
//   - finds the role free and takes it, or
//   - finds it held and marks it pending. The holder can give the role back
//     only by a swap from held, which then fails; it looks at the holds again
//     after the mark, and so after the raise, or
//   - finds it pending already. Then the holder's next look is still to come.
//
// A raise that skips reclaim (see Reader.raise) is covered by releaseSome.
func (r *Ring[T]) reclaim() {
	for !r.role.CompareAndSwap(roleFree, roleHeld) {
		if r.role.Load() == rolePending || r.role.CompareAndSwap(roleHeld, rolePending) {
			return
		}
	}
	for {
		for r.releaseSome() {
		}
		if r.role.CompareAndSwap(roleHeld, roleFree) {
			return
		}
		r.role.Store(roleHeld)
	}
}

// releaseSome releases up to the lowest hold and reports whether that was
// anything. The holder of the role calls it until it reports false: a reader
// may have skipped reclaim because by the old value of reclaimed its hold was
// not the lowest, and that is seen by looking at the holds once more after
// the new value is stored. The work is bounded, because the holder's own hold
// stands still meanwhile.
func (r *Ring[T]) releaseSome() bool {
	low := r.readers[0].hold.Load()
	for _, rd := range r.readers[1:] {
		if h := rd.hold.Load(); behind(h, low) {
			low = h
		}
	}
	done := r.reclaimed.Load()
	if !behind(done+1, low) {
		return false
	}
	for seq := done + 1; seq != low; seq++ {
		r.release(seq, r.Slot(seq))
	}
	r.after()
	r.renumber(low - 1)
	r.reclaimed.Store(low - 1)
	// At this point the producers own the slots up to low-1.
	r.room.open()
	return true
}

// ReleaseAll releases what the readers still hold of a closed ring, published
// and unread values included. The caller guarantees that no producer and no
// reader is at work any more; it panics if the ring is not closed. Calling it
// again does nothing.
func (r *Ring[T]) ReleaseAll() {
	last, closed := r.end()
	if !closed {
		panic("ringbuf: ReleaseAll of an open ring")
	}
	if !r.role.CompareAndSwap(roleFree, roleHeld) {
		panic("ringbuf: ReleaseAll while a reader is at work")
	}
	for seq := r.reclaimed.Load() + 1; seq != last+1; seq++ {
		// A sequence that its producer never published has no value.
		if s := &r.slots[seq&r.mask]; s.published.Load() == seq {
			r.release(seq, &s.value)
		}
	}
	r.after()
	r.reclaimed.Store(last)
	r.role.Store(roleFree)
}
