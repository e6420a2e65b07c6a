package stream

import (
	"errors"
	"sync/atomic"
	"time"
)

// Streams are what takes descriptors without bound; the log, pushes and everything
// else of a process need some too, and a log that gets none stops every push. So
// streams are refused first, while a reserve is left.

// Bounds of the reserve that is kept unless WithDescriptorReserve says otherwise:
// an eighth of the limit.
const (
	minReserve = 24
	maxReserve = 1024
)

// WithDescriptorReserve answers 503 to streams while fewer than n descriptors of
// the process's limit (RLIMIT_NOFILE) are left, so that the log, pushes and other
// routes have them. 0 is the default, an eighth of the limit, at least 24 and at
// most 1024; negative is no reserve. Where the system tells no limit there is none.
// It is no exact bound: requests that arrive at the same moment are not counted
// against each other, and what is seen of the descriptors serves for up to 50 ms and
// an eighth of the streams that there was room for.
func WithDescriptorReserve(n int) Option { return func(c *config) { c.reserve = n } }

// Descriptors tells how the process stands with file descriptors.
type Descriptors struct {
	Limit   int    // most that the process may have open; 0: not known
	Reserve int    // of them kept from streams by default
	Refused uint64 // streams refused for want of descriptors, by all handlers
}

// DescriptorStats returns the state of the process.
func DescriptorStats() Descriptors {
	d := Descriptors{Refused: refusedForDescriptors.Load()}
	if limit, ok := descriptorLimit(); ok {
		d.Limit, d.Reserve = limit, reserveOf(0, limit)
	}
	return d
}

var refusedForDescriptors atomic.Uint64

// reserveOf is the reserve that an option's value stands for.
func reserveOf(n, limit int) int {
	switch {
	case n < 0:
		return 0
	case n > 0:
		return n
	}
	return min(max(limit/8, minReserve), maxReserve)
}

// A look at the descriptors is dear beside the rest of a stream's beginning. So one
// serves for some time, and for a part of the streams that there was room for: whatever
// else takes descriptors meanwhile has the rest of them, and the reserve.
const (
	lookLasts = 50 * time.Millisecond
	lookPart  = 8 // an eighth
)

// descriptorLook is what was seen of the descriptors of the process.
type descriptorLook struct {
	at      time.Time
	limit   int
	lowest  int          // that is free: the kernel gives the lowest, so that all below are in use
	streams atomic.Int64 // that were let in by it
}

var lastLook atomic.Pointer[descriptorLook]

// serves reports whether one more stream, with this reserve, may be let in by the look.
func (l *descriptorLook) serves(now time.Time, reserve int) bool {
	if l == nil || now.Sub(l.at) >= lookLasts {
		return false
	}
	room := l.limit - reserveOf(reserve, l.limit) - l.lowest
	return l.streams.Add(1) <= int64(room/lookPart)
}

// descriptorsLeft reports whether a stream may take a descriptor.
func (c *config) descriptorsLeft() bool {
	if c.reserve < 0 {
		return true
	}
	now := time.Now()
	if lastLook.Load().serves(now, c.reserve) {
		return true
	}
	limit, ok := descriptorLimit()
	if !ok {
		return true
	}
	lowest, err := lowestDescriptor()
	if errors.Is(err, errNoDescriptor) || err == nil && lowest >= limit-reserveOf(c.reserve, limit) {
		refusedForDescriptors.Add(1)
		return false
	}
	if err == nil {
		lastLook.Store(&descriptorLook{at: now, limit: limit, lowest: lowest})
	}
	return true
}

// errNoDescriptor: the process, or the system, has none left.
var errNoDescriptor = errors.New("no descriptor left")
