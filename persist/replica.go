package persist

import (
	"errors"
	"fmt"
)

// ErrNoReplica: the log is no [Replica].
var ErrNoReplica = errors.New("persist: log can't start over")

// Replica is a [Log] that can follow another one which has gone on without it.
type Replica interface {
	// StartOver removes all records, and sets Last and Floor to at, as if a record
	// with that ID had been appended and removed. at must be greater than Last, else
	// the error is ErrOrder. No Append is under way.
	StartOver(at uint64) error
}

// StartOver implements [Replica].
func (m *Memory) StartOver(at uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.closed {
		return ErrClosed
	}
	if at <= m.mu.last {
		return fmt.Errorf("%w: to start over at %d, after %d", ErrOrder, at, m.mu.last)
	}
	removed := int64(0)
	for m.mu.first != 0 {
		m.mu.floorTime = max(m.mu.floorTime, m.removeLocked(m.mu.first))
		removed++
	}
	m.mu.last, m.mu.floor = at, at
	m.dropRunsLocked()
	m.mu.floors.Pass(at, removed, nil)
	return nil
}

var _ Replica = (*Memory)(nil)
