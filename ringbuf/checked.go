package ringbuf

import "fmt"

// checkSlot panics if nobody can own the slot as that of seq: it is not yet
// claimed, or already released.
func (r *Ring[T]) checkSlot(seq uint64) {
	done := r.reclaimed.Load()
	if last, _ := r.end(); !behind(done, seq) || behind(last, seq) {
		panic(fmt.Sprintf("ringbuf: Slot(%d), but what can be owned is %d..%d", seq, done+1, last))
	}
}

// checkPublish panics if seq is not claimed or already published.
func (r *Ring[T]) checkPublish(seq uint64) {
	r.checkSlot(seq)
	if was := r.slots[seq&r.mask].published.Load(); was != seq-uint64(len(r.slots)) {
		panic(fmt.Sprintf("ringbuf: Publish of %d, but its slot is published as %d", seq, was))
	}
}
