package ringbuf

import "math/bits"

// lineSize is the span that fields written by different parties are kept
// apart by: one cache line on amd64 and arm64. Go gives no way to align a
// struct to a line, so a full line of padding stands between such fields;
// then they are on different lines wherever the struct begins.
const lineSize = 64

// pad is one cache line of nothing.
type pad [lineSize]byte

// roundUp returns the smallest power of two that is at least n and at least 2,
// so that a sequence is turned into an index by masking.
func roundUp(n int) int {
	if n <= 2 {
		return 2
	}
	return 1 << bits.Len(uint(n-1))
}

// behind reports whether sequence a comes before b. Sequences count modulo
// 2^64, so they are compared by the sign of their difference: right as long as
// the two are less than 2^63 apart, which every bound in this package is.
func behind(a, b uint64) bool { return int64(a-b) < 0 }
