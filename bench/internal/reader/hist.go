//go:build linux

package reader

import (
	"math/bits"
	"time"
)

// hist counts durations in buckets of relative width 1/64 at most: an HDR histogram with fixed bounds, so that recording
// is a few instructions. Durations are nanoseconds up to about 70 s; what is beyond counts as the bound.
type hist struct {
	counts [histBuckets]uint64
	n      uint64
	max    int64
	sum    int64
}

const (
	histSub     = 7 // bits of a value that a bucket keeps
	histMaxBits = 36
	histBuckets = (histMaxBits-histSub)<<(histSub-1) + 1<<histSub
)

func (h *hist) record(ns int64) {
	ns = max(ns, 0)
	h.n++
	h.sum += ns
	h.max = max(h.max, ns)
	h.counts[bucketOf(uint64(ns))]++
}

// bucketOf maps the values below 2^histSub to themselves, and above them each power of two to 2^(histSub-1) buckets.
func bucketOf(v uint64) int {
	shift := bits.Len64(v) - histSub
	if shift <= 0 {
		return int(v)
	}
	return min(shift<<(histSub-1)+int(v>>shift), histBuckets-1)
}

// upperOf is the largest value of a bucket.
func upperOf(bucket int) int64 {
	const half = 1 << (histSub - 1)
	if bucket < 2*half {
		return int64(bucket)
	}
	shift := bucket/half - 1
	return int64(bucket-shift*half+1)<<shift - 1
}

// quantile returns a bound that the share q of the values does not pass.
func (h *hist) quantile(q float64) int64 {
	want := uint64(q*float64(h.n) + 0.5)
	var seen uint64
	for i := range h.counts {
		if seen += h.counts[i]; seen >= want && seen > 0 {
			return min(upperOf(i), h.max)
		}
	}
	return h.max
}

// Latency sums up a histogram.
type Latency struct {
	Count uint64        `json:"count"`
	Mean  time.Duration `json:"mean"`
	P50   time.Duration `json:"p50"`
	P90   time.Duration `json:"p90"`
	P99   time.Duration `json:"p99"`
	P999  time.Duration `json:"p99_9"`
	Max   time.Duration `json:"max"`
}

func (h *hist) summary() Latency {
	l := Latency{Count: h.n, Max: time.Duration(h.max)}
	if h.n > 0 {
		l.Mean = time.Duration(h.sum / int64(h.n))
		l.P50, l.P90 = time.Duration(h.quantile(0.5)), time.Duration(h.quantile(0.9))
		l.P99, l.P999 = time.Duration(h.quantile(0.99)), time.Duration(h.quantile(0.999))
	}
	return l
}
