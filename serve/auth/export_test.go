package auth

import (
	"context"
	"sync/atomic"
	"time"
)

// These set clocks, for tests.

func (c *JWTConfig) SetClock(now func() time.Time)     { c.now = now }
func (o *RemoteOptions) SetClock(now func() time.Time) { o.now = now }
func (c *TicketsConfig) SetClock(now func() time.Time) { c.now = now }
func (v *Revocations) SetClock(now func() time.Time)   { v.now = now }

// Kept returns how many tickets, owners and places in the queue there are.
func (t *Tickets) Kept() (tickets, owners, queue int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.mu.grants), len(t.mu.users), t.mu.queue.Len()
}

// countedKeys counts how often keys are asked for.
type countedKeys struct {
	Keys
	asked *atomic.Int64
}

func (c countedKeys) candidates(ctx context.Context, kid, alg string) ([]any, error) {
	c.asked.Add(1)
	return c.Keys.candidates(ctx, kid, alg)
}

// CountKeys returns keys that count how often a token is verified by them.
func CountKeys(keys Keys) (Keys, *atomic.Int64) {
	asked := new(atomic.Int64)
	return countedKeys{keys, asked}, asked
}
