package stream

import (
	"errors"
	"sync/atomic"
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
// most 1024; negative is no reserve. Requests that arrive at the same moment are
// not counted against each other. Where the system tells no limit there is no
// reserve.
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

// descriptorsLeft reports whether a stream may take a descriptor.
func (c *config) descriptorsLeft() bool {
	limit, ok := descriptorLimit()
	if !ok || c.reserve < 0 {
		return true
	}
	lowest, err := lowestDescriptor()
	// The kernel gives the lowest number that is free: all below are in use.
	if errors.Is(err, errNoDescriptor) || err == nil && lowest >= limit-reserveOf(c.reserve, limit) {
		refusedForDescriptors.Add(1)
		return false
	}
	return true
}

// errNoDescriptor: the process, or the system, has none left.
var errNoDescriptor = errors.New("no descriptor left")
