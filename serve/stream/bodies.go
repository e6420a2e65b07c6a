package stream

import (
	"math"
	"sync/atomic"
)

// This file bounds the memory that the bodies of pushes take together. A body counts
// twice, as it is read and as what is decoded from it, from when it has memory until
// its push is answered, and no further than it has arrived, but for a multiple: who
// sends slowly holds little of it.

const (
	// defaultPushMemory is the bound, or defaultBodies bodies where they may be large.
	defaultPushMemory = 128 << 20
	defaultBodies     = 8
	// leastBodies are what the bound has room for at least: a largest one that grows
	// has an older part beside it.
	leastBodies = 4

	// bodyFactor is how often a byte of a body counts.
	bodyFactor = 2

	// smallBody is up to where a body may use all of the memory; larger ones leave one in
	// largeShare of it, so that they keep no small one out.
	smallBody  = 16 << 10
	largeShare = 8
)

// LeastPushMemory is the memory that bodies of up to bodyLimit bytes need at least, so that
// one of them gets through.
func LeastPushMemory(bodyLimit int64) int64 { return leastBodies * bodyFactor * bodyLimit }

// bodyMemory are those of all pushes of the process: its memory is one.
var bodyMemory struct {
	held    atomic.Int64
	refused atomic.Uint64
}

// PushStats are about the pushes of the whole process that are being read or published.
type PushStats struct {
	BodyBytes int64  // that their bodies take, decoded as well
	Refused   uint64 // for want of memory for their bodies, so far
}

// PushBodyStats returns what is known of the bodies of pushes. It may be called by any
// number of goroutines.
func PushBodyStats() PushStats {
	return PushStats{BodyBytes: bodyMemory.held.Load(), Refused: bodyMemory.refused.Load()}
}

// memoryOf is what one push has of the memory.
type memoryOf struct {
	limit int64
	bytes int64 // counted once
}

// fits says whether there is room for a body of so many bytes in all now.
func (m *memoryOf) fits(size int64) bool {
	return size <= (math.MaxInt64>>1)/bodyFactor && bodyMemory.held.Load()+bodyFactor*(size-m.bytes) <= m.room(size)
}

func (m *memoryOf) room(size int64) int64 {
	if size <= smallBody {
		return m.limit
	}
	return m.limit - m.limit/largeShare
}

// grow takes memory for a body of so many bytes, or none.
func (m *memoryOf) grow(size int64) bool {
	more := bodyFactor * (size - m.bytes)
	if bodyMemory.held.Add(more) > m.room(size) {
		bodyMemory.held.Add(-more)
		return false
	}
	m.bytes = size
	return true
}

// free gives all back.
func (m *memoryOf) free() {
	bodyMemory.held.Add(-bodyFactor * m.bytes)
	m.bytes = 0
}

// errNoRoom ends the reading of a body.
var errNoRoom = scarce("the pushes under way take all the memory that there is for their bodies")
