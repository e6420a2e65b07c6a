// Package bytime finds where in a log a time begins.
//
// The times of records come from a clock that may have been wrong for a while, so they
// need not ascend. A log keeps for each run of records (a chunk) the newest time in it,
// and that of all chunks up to it, which does ascend.
package bytime

import "sort"

// Chunks is the chunks of a log, in the order of IDs.
type Chunks interface {
	Len() int
	Newest(i int) int64 // the newest time in chunk i
	Reach(i int) int64  // the newest time in the chunks up to i
}

// First returns the first chunk that may hold a record which was appended at t or
// later, Len if there is none. Times after now are of a wrong clock: such a chunk was
// appended between its neighbours.
//
// It costs a logarithmic number of steps, and where a clock was wrong as many more as
// there are chunks from then on.
func First(c Chunks, t, now int64) int {
	n := c.Len()
	i := sort.Search(n, func(i int) bool { return c.Reach(i) >= t })
	for i < n && (c.Newest(i) < t || c.Newest(i) > now) {
		i++
	}
	for i > 0 && c.Newest(i-1) > now {
		i--
	}
	return i
}
