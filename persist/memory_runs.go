package persist

import (
	"context"
	"slices"
)

// BeginRun implements [Runs].
func (m *Memory) BeginRun(first uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.closed {
		return ErrClosed
	}
	if err := CheckRun(first, m.mu.last); err != nil {
		return err
	}
	m.mu.runs, _, _ = m.mu.runs.Begin(first, m.mu.last)
	m.dropRunsLocked()
	return nil
}

// Issued implements [Runs].
func (m *Memory) Issued(ctx context.Context, id uint64) (bool, error) {
	m.mu.RLock()
	in, before := m.mu.runs.In(id, m.mu.last), m.mu.runs.Before(id)
	m.mu.RUnlock()
	if in || !before {
		return in, ctx.Err()
	}
	return m.Has(ctx, id)
}

// dropRunsLocked forgets the runs that the floor has passed.
func (m *Memory) dropRunsLocked() {
	m.mu.runs = slices.Delete(m.mu.runs, 0, m.mu.runs.Passed(m.mu.floor))
}

// HighWater implements [Runs]: it is Last, as the log does not outlive its process.
func (m *Memory) HighWater() uint64 { return m.Last() }
