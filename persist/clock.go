package persist

import "time"

// Clock is where a log takes the time from.
type Clock interface {
	// Now returns the present time.
	Now() time.Time
	// After returns a channel that gets a value once d has passed.
	After(d time.Duration) <-chan time.Time
}

type systemClock struct{}

func (systemClock) Now() time.Time                         { return time.Now() }
func (systemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

// noClock is for records whose time is not known.
var noClock Clock = zeroClock{}

type zeroClock struct{ systemClock }

// Now returns the zero of Unix time.
func (zeroClock) Now() time.Time { return time.UnixMilli(0) }
