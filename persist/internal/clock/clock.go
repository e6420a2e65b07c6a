// Package clock has the clocks that logs go by.
package clock

import "time"

// System is the system's clock.
type System struct{}

// Now returns the present time.
func (System) Now() time.Time { return time.Now() }

// After returns a channel that gets a value once d has passed.
func (System) After(d time.Duration) <-chan time.Time { return time.After(d) }

// Moment is the present time in milliseconds, by two clocks.
type Moment struct {
	World  int64 // since 1970, by a clock that may be wrong and jump
	Steady int64 // since an arbitrary moment, by one that does not
}

// Since returns the moment now, whose steady clock counts from start. Where a time has
// no reading of the monotonic clock, as those of tests, there is only the world's.
func Since(start, now time.Time) Moment {
	return Moment{World: now.UnixMilli(), Steady: now.Sub(start).Milliseconds()}
}

// Of returns the time of a record by the steady clock. One from the future is new: what
// goes by age does not wait until the world's clock has got there.
func (m Moment) Of(world int64) int64 { return m.Steady - max(0, m.World-world) }

// Back returns a time of the steady clock by the world's of this moment.
func (m Moment) Back(steady int64) int64 { return m.World - (m.Steady - steady) }
