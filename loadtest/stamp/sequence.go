package stamp

import (
	"sync"
	"time"
)

// Sequence numbers and stamps the events of one publisher: a service makes one
// when it starts. Any goroutine may use it, but events for the same addressees
// must be published in the order in which they were stamped.
type Sequence struct {
	run, lane uint32
	mu        struct {
		sync.Mutex
		last map[target]uint64 // grows by one entry for each addressee
	}
}

type target struct {
	kind  Kind
	index uint32
}

// NewSequence returns the sequence of publisher lane, counted from 0 (loadtest's
// -connections must be above it), in run, which loadtest is given as -run-id. A
// publisher that starts again needs a run or lane that was not used before.
func NewSequence(run, lane uint32) *Sequence {
	s := &Sequence{run: run, lane: lane}
	s.mu.last = map[target]uint64{}
	return s
}

// Event appends to dst the data of the next event for the addressee, due at due:
// the stamp and then content, which may be empty (see [Wrap]). index is 0 for a
// Broadcast.
func (s *Sequence) Event(dst []byte, kind Kind, index uint32, due time.Time, content []byte) []byte {
	t := target{kind, index}
	s.mu.Lock()
	s.mu.last[t]++
	n := s.mu.last[t]
	s.mu.Unlock()
	return Wrap(dst, Stamp{Run: s.run, Lane: s.lane, Kind: kind, Index: index, Seq: n, Sent: due.UnixNano()}, content)
}
