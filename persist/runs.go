package persist

import "context"

// Runs is a Log that remembers which IDs were issued, run by run.
type Runs interface {
	// BeginRun begins a run whose IDs are ≥ first; durable when it returns. Called once, before the first Append of a hub.
	BeginRun(first uint64) error
	// Issued reports whether id lies in a run: it was given out by this history, whether or not its record is still there.
	Issued(ctx context.Context, id uint64) (bool, error)
	// HighWater is the highest ID that is known to have been acknowledged: Last, or more where the tail of the log was lost.
	HighWater() uint64
}
