//go:build !linux

package clock

import (
	"context"
	"time"
)

func monotonic() int64 { return 0 }

// Sleeper sleeps for one goroutine, by the runtime's timer.
type Sleeper struct{}

// NewSleeper never fails here.
func NewSleeper() (*Sleeper, error) { return &Sleeper{}, nil }

// Sleep returns after d, or earlier with the context's error.
func (s *Sleeper) Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close has nothing to give back here.
func (s *Sleeper) Close() error { return nil }
