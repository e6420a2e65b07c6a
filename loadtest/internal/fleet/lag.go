package fleet

import (
	"context"
	"sync"
	"time"

	"github.com/spatehub/spate/loadtest/internal/clock"
	"github.com/spatehub/spate/loadtest/internal/hist"
)

// LagEvery is how often a LagMeter measures.
const LagEvery = 10 * time.Millisecond

// LagMeter measures how late this process gets to run when it wants to: a
// process that is itself starved of processor time would measure its own delay
// and blame the server.
type LagMeter struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	mu     struct {
		sync.Mutex
		lag hist.Hist
	}
}

// NewLagMeter starts measuring, until Close.
func NewLagMeter() (*LagMeter, error) {
	s, err := clock.NewSleeper()
	if err != nil {
		return nil, err
	}
	m := &LagMeter{}
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	m.done.Go(func() {
		defer s.Close()
		for {
			start := time.Now()
			if s.Sleep(ctx, LagEvery) != nil {
				return
			}
			late := time.Since(start) - LagEvery
			m.mu.Lock()
			m.mu.lag.Record(int64(late))
			m.mu.Unlock()
		}
	})
	return m, nil
}

// Collect moves what was measured into h.
func (m *LagMeter) Collect(h *hist.Hist) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h.Merge(&m.mu.lag)
	m.mu.lag.Reset()
}

// Close stops measuring.
func (m *LagMeter) Close() error {
	m.cancel()
	m.done.Wait()
	return nil
}
