// Package overview keeps what the hub was like in the last quarter of an hour, a look each second, so that a page which
// is opened, or loaded again, has something to draw at once. It takes a fixed amount of memory, some hundred kilobytes.
package overview

import (
	"context"
	"sync"
	"time"
)

// Interval is the time between two samples, and Kept how many are kept.
const (
	Interval = time.Second
	Kept     = 900
)

// History is the samples of the last Kept intervals. Its methods may be called by many goroutines at once.
type History struct {
	source Source

	mu   sync.Mutex
	ring [Kept]sample
	n    int // samples taken so far; that of number i is at i modulo Kept
}

// New returns a history whose first sample is taken at once, so that it is never empty.
func New(source Source) *History {
	h := &History{source: source}
	h.Look(time.Now())
	return h
}

// Seldom is how many intervals lie between two calls of what else Run does.
const Seldom = 10

// Run takes a sample each Interval until ctx ends, and calls also each Seldom intervals.
func (h *History) Run(ctx context.Context, also func(now time.Time)) {
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			h.Look(now)
			if n%Seldom == 0 {
				also(now)
			}
		}
	}
}

// Look takes a sample, unless the clock has not moved on since the last: times increase.
func (h *History) Look(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var last *sample
	if h.n > 0 {
		last = &h.ring[(h.n-1)%Kept]
		if now.UnixMilli() <= last.at {
			if last.at-now.UnixMilli() < time.Minute.Milliseconds() {
				return
			}
			h.n, last = 0, nil // the clock was set back: what was kept would be from the future
		}
	}
	h.ring[h.n%Kept] = h.source.take(now.UnixMilli(), last, h.n%logEvery == 0)
	h.n++
}

// Since returns what happened after a time, in Unix milliseconds, of the samples that are kept: every step-th of them,
// the newest among them. What is told of one is the mean since the one before.
func (h *History) Since(after int64, step int) Series {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := max(h.n-Kept, 0)
	for first < h.n && h.ring[first%Kept].at <= after {
		first++
	}
	s := newSeries()
	if first == h.n {
		return s
	}
	before := max(first-1, h.n-Kept, 0)
	for i := first + (h.n-1-first)%step; i < h.n; i += step {
		s.add(&h.ring[before%Kept], &h.ring[i%Kept])
		before = i
	}
	return s
}
