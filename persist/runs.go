package persist

import "context"

// Runs is a [Log] that remembers which IDs were issued, run by run.
//
// A run is what one start of a hub appends: the IDs from the first that it may have
// issued to the last that it appended. What lies in no run was issued by another
// history, of which this log is a copy from before, or was lost with the end of the
// log: a client that names such an ID has a gap. What was there before the first run
// counts as issued where the record can be found.
type Runs interface {
	// BeginRun begins a run whose IDs are ≥ first. It is durable when BeginRun
	// returns, and takes the place of a run before it that has no record. first must
	// be greater than Last, else the error is ErrOrder. Who gives IDs begins above
	// HighWater; who takes them from elsewhere may begin with what was lost. Called
	// once, before the first Append of a hub.
	BeginRun(first uint64) error

	// Issued reports whether id lies in a run: it was given out by this history,
	// whether or not its record is still there. Runs that retention has passed are
	// forgotten, so ask for the floor too.
	Issued(ctx context.Context, id uint64) (bool, error)

	// HighWater is the highest ID that may have been acknowledged: Last, or more
	// where the end of the log was lost.
	HighWater() uint64
}

// Losses is a [Log] that remembers where acknowledged records went missing, also
// after it was closed and opened again.
type Losses interface {
	// LostAfter returns the highest ID above id that was acknowledged and is
	// missing, 0 where none is. A reader that continues after id has a gap that
	// reaches up to it; what is left of the records between can still be read.
	LostAfter(id uint64) uint64
}

// LostTail tells of acknowledged records that were missing at the end of a log when
// it was opened. The zero value: none were.
type LostTail struct {
	From, To uint64 // IDs, inclusive; not all of them need have been records
	Records  int64  // how many records, at least
}
