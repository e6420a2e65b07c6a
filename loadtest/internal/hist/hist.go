// Package hist is the load tester's histogram: nanoseconds up to an hour, each
// counted within a thousandth of its value.
//
// Its steps are those of an HdrHistogram with three significant digits, and it
// is stored in HdrHistogram's format. It differs in what merging costs: event
// loops hand over their counts every second, and only the steps that are in use
// are touched then, not all 33,000.
package hist

import (
	"math/bits"
	"time"
)

const (
	highest = int64(time.Hour)
	// Values below 1<<fineBits have a step each; above, each doubling has
	// 1<<(fineBits-1) steps.
	fineBits = 11
	half     = 1 << (fineBits - 1)
)

// Hist counts durations. It is for one goroutine at a time. The zero value is
// ready for use; its memory grows with the longest duration, to 270 KB for an
// hour.
type Hist struct {
	counts   []int64 // by step; all 0 outside [lo, hi]
	lo, hi   int     // steps in use, if total > 0
	total    int64
	min, max int64
	sum      float64
}

// step returns the index of the step that v, which is not negative, falls into.
func step(v int64) int {
	if v < 1<<fineBits {
		return int(v)
	}
	shift := bits.Len64(uint64(v)) - fineBits
	return shift*half + int(v>>shift)
}

// bounds returns the lowest and highest value of a step.
func bounds(i int) (lo, hi int64) {
	if i < 1<<fineBits {
		return int64(i), int64(i)
	}
	shift := i/half - 1
	lo = int64(i-shift*half) << shift
	return lo, lo + 1<<shift - 1
}

// Record counts one duration in nanoseconds. What is out of range counts as the
// nearest value in range.
func (h *Hist) Record(ns int64) { h.RecordN(ns, 1) }

// RecordN counts the same duration n times.
func (h *Hist) RecordN(ns, n int64) {
	if n <= 0 {
		return
	}
	ns = min(max(ns, 0), highest)
	i := step(ns)
	if i >= len(h.counts) {
		h.grow(i)
	}
	if h.total == 0 {
		h.lo, h.hi, h.min, h.max = i, i, ns, ns
	} else {
		h.lo, h.hi = min(h.lo, i), max(h.hi, i)
		h.min, h.max = min(h.min, ns), max(h.max, ns)
	}
	h.counts[i] += n
	h.total += n
	h.sum += float64(ns) * float64(n)
}

// grow makes room for step i: whole doublings, so that it happens seldom.
func (h *Hist) grow(i int) {
	bigger := make([]int64, (i/half+2)*half)
	copy(bigger, h.counts)
	h.counts = bigger
}

// Merge adds what from has counted.
func (h *Hist) Merge(from *Hist) {
	if from.total == 0 {
		return
	}
	if from.hi >= len(h.counts) {
		h.grow(from.hi)
	}
	if h.total == 0 {
		h.lo, h.hi, h.min, h.max = from.lo, from.hi, from.min, from.max
	} else {
		h.lo, h.hi = min(h.lo, from.lo), max(h.hi, from.hi)
		h.min, h.max = min(h.min, from.min), max(h.max, from.max)
	}
	to := h.counts[from.lo : from.hi+1]
	for i, n := range from.counts[from.lo : from.hi+1] {
		to[i] += n
	}
	h.total += from.total
	h.sum += from.sum
}

// Reset forgets everything but keeps the memory.
func (h *Hist) Reset() {
	if h.total > 0 {
		clear(h.counts[h.lo : h.hi+1])
	}
	*h = Hist{counts: h.counts}
}

// Count is the number of durations recorded.
func (h *Hist) Count() int64 { return h.total }

// Quantile returns the duration, in nanoseconds, that the share q (0 to 1) of
// the recorded ones does not exceed, within a thousandth; 0 if none is recorded.
func (h *Hist) Quantile(q float64) int64 {
	if h.total == 0 {
		return 0
	}
	rank := int64(q*float64(h.total) + 0.5)
	rank = min(max(rank, 1), h.total)
	var seen int64
	for i := h.lo; i <= h.hi; i++ {
		if seen += h.counts[i]; seen >= rank {
			_, hi := bounds(i)
			return min(hi, h.max)
		}
	}
	return h.max
}

// Max is the longest duration recorded.
func (h *Hist) Max() int64 { return h.max }

// Min is the shortest duration recorded.
func (h *Hist) Min() int64 { return h.min }

// Mean is the mean of the recorded durations.
func (h *Hist) Mean() int64 {
	if h.total == 0 {
		return 0
	}
	return int64(h.sum / float64(h.total))
}
