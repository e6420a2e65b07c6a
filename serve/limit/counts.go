package limit

import (
	"maps"
	"sync"
)

// Counts counts what each key holds at a time, such as the streams of a user. It
// takes memory for the keys that hold something.
type Counts[K comparable] struct {
	mu struct {
		sync.Mutex
		held map[K]int
		peak int // most keys since held was made
	}
}

// roomy is how many keys a map may once have had without being made anew.
const roomy = 1024

// Acquire takes one more for the key and reports true, unless it holds max or more
// already. 0 or less is no bound.
func (c *Counts[K]) Acquire(key K, max int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.mu.held[key]
	if max > 0 && n >= max {
		return false
	}
	if c.mu.held == nil {
		c.mu.held = make(map[K]int)
	}
	c.mu.held[key] = n + 1
	if n == 0 && len(c.mu.held) > c.mu.peak {
		c.mu.peak = len(c.mu.held)
	}
	return true
}

// Release gives back one that was acquired.
func (c *Counts[K]) Release(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch n := c.mu.held[key]; {
	case n > 1:
		c.mu.held[key] = n - 1
	case n == 1:
		delete(c.mu.held, key)
		c.shrinkLocked()
	default:
		panic("limit: released what was not acquired")
	}
}

// Held is what the key holds.
func (c *Counts[K]) Held(key K) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.held[key]
}

// shrinkLocked gives memory back once most keys are gone.
func (c *Counts[K]) shrinkLocked() {
	if small, ok := shrunk(c.mu.held, c.mu.peak); ok {
		c.mu.held, c.mu.peak = small, len(small)
	}
}

// shrunk returns a smaller map in the place of one that had peak keys, once three
// quarters of them are gone: Go's maps give no memory back.
func shrunk[K comparable, V any](m map[K]V, peak int) (small map[K]V, ok bool) {
	if peak < roomy || len(m) > peak/4 {
		return nil, false
	}
	small = make(map[K]V, len(m))
	maps.Copy(small, m)
	return small, true
}
