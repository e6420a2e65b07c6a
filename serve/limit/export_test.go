package limit

import "time"

// SetClock sets the clock, for tests.
func (c *Config) SetClock(now func() time.Time) { c.now = now }
