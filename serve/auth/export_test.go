package auth

import "time"

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
