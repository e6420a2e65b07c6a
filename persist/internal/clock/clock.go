// Package clock has the clock that logs go by unless they are given another.
package clock

import "time"

// System is the system's clock.
type System struct{}

// Now returns the present time.
func (System) Now() time.Time { return time.Now() }

// After returns a channel that gets a value once d has passed.
func (System) After(d time.Duration) <-chan time.Time { return time.After(d) }
