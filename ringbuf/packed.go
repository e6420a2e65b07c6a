package ringbuf

// Ring.claimed packs two counters into one word, so that a claim of sequences
// and numbers is one compare-and-swap: the low 32 bits of the last claimed
// sequence, with closedBias once closed, above the low 32 bits of the last
// claimed number. What belongs above them is known from references that are
// never far behind: reclaimed, by at most the capacity, and numbered, by at most
// that and renumberAfter. (A word that is the same again after 2^32 claims, while
// one producer stands still between its look and its swap, would be taken for
// unchanged: minutes of every processor's work within some nanoseconds of one.)

// renumberAfter is after how many sequences the reference of numbers is renewed:
// seldom, since that takes a look at the producers' line.
const renumberAfter = 1 << 24

// pack returns the word for a sequence and a number.
func pack(seq, number uint64) uint64 { return seq<<32 | uint64(uint32(number)) }

// halves returns the low bits of the sequence and of the number.
func halves(word uint64) (seq, number uint32) { return uint32(word >> 32), uint32(word) }

// extend returns the number with these low bits that is nearest to ref.
func extend(ref uint64, low uint32) uint64 { return ref + uint64(int64(int32(low-uint32(ref)))) }

// unpack returns what a word of claimed stands for, if it is the present one.
func (r *Ring[T]) unpack(word uint64) (last, number uint64, closed bool) {
	last, closed = r.sequence(word)
	return last, extend(r.numbered.Load(), uint32(word)), closed
}

// sequence is the first half of unpack.
func (r *Ring[T]) sequence(word uint64) (last uint64, closed bool) {
	// Loaded after the word, reclaimed can be ahead of it but, without the bias,
	// never more than capacity behind.
	reclaimed := r.reclaimed.Load()
	last = extend(reclaimed, uint32(word>>32))
	if int64(last-reclaimed) > r.capacity {
		last, closed = last-closedBias, true
	}
	return last, closed
}

// renumber renews the reference of numbers, if it is time, before the slots up to
// done are given to producers. The holder of role calls it.
func (r *Ring[T]) renumber(done uint64) {
	if done-r.renumbered < renumberAfter {
		return
	}
	r.renumbered = done
	_, number, _ := r.state()
	r.numbered.Store(number)
}
