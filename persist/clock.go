package persist

import "time"

// Clock is where a log takes the time from.
type Clock interface {
	// Now returns the present time.
	Now() time.Time
	// After returns a channel that gets a value once d has passed.
	After(d time.Duration) <-chan time.Time
}
