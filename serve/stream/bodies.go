package stream

import (
	"math"
	"net/http"
	"sync"
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
	// largeShare of it, so that they keep no small one out, and those of one caller leave
	// half of it to others.
	smallBody   = 16 << 10
	largeShare  = 8
	callerShare = 2
)

// LeastPushMemory is the memory that bodies of up to bodyLimit bytes need at least, so that
// one of them gets through.
func LeastPushMemory(bodyLimit int64) int64 { return leastBodies * bodyFactor * bodyLimit }

// bodyMemory are those of all pushes of the process: its memory is one.
var bodyMemory struct {
	held    atomic.Int64
	refused atomic.Uint64

	mu      sync.Mutex
	callers map[string]int64 // what the large bodies of each count
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
	limit  int64
	caller func() string // whose the body is; asked where that is large
	bytes  int64         // counted once

	// Of a large body.
	who   string // its caller
	share int64  // of the caller's, as counted; 0: it is not large
}

// bodyCaller is whose the body of a push is: its user's, or of where it comes from.
func (c *pushConfig) bodyCaller(r *http.Request, g *Grant) string {
	if g.User != "" {
		return "u" + g.User
	}
	return "s" + c.source(r)
}

// fits says whether there is room for a body of so many bytes in all now.
func (m *memoryOf) fits(size int64) bool {
	if size > (math.MaxInt64>>1)/bodyFactor || bodyMemory.held.Load()+bodyFactor*(size-m.bytes) > m.room(size) {
		return false
	}
	if size <= smallBody {
		return true
	}
	bodyMemory.mu.Lock()
	defer bodyMemory.mu.Unlock()
	return m.fair(size)
}

// fair says whether a large body of so many bytes leaves room to others. bodyMemory.mu is
// held.
func (m *memoryOf) fair(size int64) bool {
	if m.who == "" {
		m.who = m.caller()
	}
	return bodyMemory.callers[m.who]-m.share+bodyFactor*size <= m.limit/callerShare
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
	if bodyMemory.held.Add(more) > m.room(size) || !m.takeShare(size) {
		bodyMemory.held.Add(-more)
		return false
	}
	m.bytes = size
	return true
}

// takeShare counts a body of so many bytes for its caller, if it is large.
func (m *memoryOf) takeShare(size int64) bool {
	if size <= smallBody {
		return true
	}
	bodyMemory.mu.Lock()
	defer bodyMemory.mu.Unlock()
	if !m.fair(size) {
		return false
	}
	if bodyMemory.callers == nil {
		bodyMemory.callers = map[string]int64{}
	}
	bodyMemory.callers[m.who] += bodyFactor*size - m.share
	m.share = bodyFactor * size
	return true
}

// free gives all back.
func (m *memoryOf) free() {
	bodyMemory.held.Add(-bodyFactor * m.bytes)
	m.bytes = 0
	if m.share == 0 {
		return
	}
	bodyMemory.mu.Lock()
	defer bodyMemory.mu.Unlock()
	if bodyMemory.callers[m.who] -= m.share; bodyMemory.callers[m.who] == 0 {
		delete(bodyMemory.callers, m.who)
	}
	m.share = 0
}

// errNoRoom ends the reading of a body.
var errNoRoom = scarce("the pushes under way take all the memory that there is for their bodies")
