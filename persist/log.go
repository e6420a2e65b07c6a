package persist

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Errors of every log of this package, to be found with errors.Is.
var (
	// ErrClosed is returned by a log after its Close.
	ErrClosed = errors.New("persist: log is closed")

	// ErrOrder refuses a batch whose IDs do not increase or do not follow Last.
	ErrOrder = errors.New("persist: IDs must increase")

	// ErrRecord refuses a record that could not be kept.
	ErrRecord = errors.New("persist: invalid record")

	// ErrFailed is part of every error of a log that can't write at present. The
	// error also wraps the cause. A later Append may succeed.
	ErrFailed = errors.New("persist: log can't be written")

	// ErrLocked is returned where a log is opened whose directory another process,
	// or another log of this process, has open.
	ErrLocked = errors.New("persist: directory is in use")
)

// PartialError is returned by an Append that could not be undone: the first Taken
// records of the batch are kept, the others are not. Only logs made by
// [FromStore] return it.
type PartialError struct {
	Taken int
	Err   error
}

// Error says how many records were taken, and why not more.
func (e *PartialError) Error() string {
	return fmt.Sprintf("persist: only the first %d records of the batch were saved: %v", e.Taken, e.Err)
}

// Unwrap returns the cause.
func (e *PartialError) Unwrap() error { return e.Err }

// Log is an append-only sequence of records, ordered by ID.
//
// Append is called by one goroutine at a time, of a log without sync perhaps by a
// publisher; if it panics, the process ends. All other methods may be called
// by any number of goroutines, also beside an Append.
type Log interface {
	// Append adds recs as one atomic batch. IDs must increase and be greater than
	// Last, else the error is ErrOrder. When Append returns nil the records are
	// durable as far as the log's policy goes, and readable. When it returns an
	// error none of them is readable, then or after the log is opened again,
	// unless the error is a [*PartialError].
	//
	// The log keeps no reference to recs, nor to the Users and Frames in it.
	//
	// A context that is done before anything was written makes Append return its
	// error; it does not interrupt a write.
	Append(ctx context.Context, recs []Record) error

	// Read returns records with ID > after, whoever they are for.
	Read(ctx context.Context, after uint64, lim Limit) (Page, error)

	// First returns the ID of the oldest record, 0 if there is none.
	First() uint64

	// Last returns the ID of the newest record ever appended, also if retention
	// has removed it since, 0 if there never was one.
	Last() uint64

	// Floor returns the highest ID up to which retention has removed records that
	// a reader of these topics, and of patterns among them (wire.Pattern), might
	// have got, 0 if none were removed. A reader
	// that continues after a lower ID has a gap. The floor rises before records
	// are removed, so ask after the read: asked before, it does not tell of what
	// went meanwhile.
	Floor(topics []string) uint64

	// Has reports whether the record with this ID can be read.
	Has(ctx context.Context, id uint64) (bool, error)

	// Close releases what the log holds, and makes its methods return ErrClosed.
	// It may be called again, to no effect. First, Last and Floor keep answering.
	Close() error
}

// Querier is a [Log] with an index, which finds the records of a topic or a user
// in time proportional to what it returns, and so those of a pattern that ends in a ">"
// and has no other wildcard. For other patterns it may have to look at records that it
// does not return, a bounded number for each page.
type Querier interface {
	// Query is Read for the records that q selects.
	Query(ctx context.Context, q Query, after uint64, lim Limit) (Page, error)
}

// Dated is a [Log] that finds where a time begins.
type Dated interface {
	// After returns the ID after which to read for all records that were appended at
	// t or later. It is Last where there are none, and 0, the beginning, where
	// nothing older is kept and what was removed may have been of that time as well.
	//
	// It goes by [Record.Time], which came from a clock that may have been wrong for
	// a while. Then the reader may get older records too, and never fewer. The time it
	// takes does not grow with the records, or with the logarithm of their number.
	After(ctx context.Context, t time.Time) (id uint64, err error)
}

// Pipeliner is a [Log] that can take the next batch while the previous one is
// made durable.
type Pipeliner interface {
	// Begin is the first half of an Append: it checks and writes the batch, and
	// does not wait for the disk. If it returns an error, wait is nil and nothing
	// of the batch will ever be readable. Begin is called by the one goroutine
	// that would call Append.
	//
	// wait is the second half: it blocks until the batch is durable and readable,
	// or has failed as a whole. Each wait is called exactly once, in the order of
	// the Begins, by one goroutine at a time, which may be another one. When a
	// batch fails, all batches begun after it and before that became known fail
	// too.
	Begin(recs []Record) (wait func() error, err error)
}

// Stats is a [Log] that tells about itself.
type Stats interface {
	LogStats() LogStats
}

// LogStats is the state of a log at one moment.
type LogStats struct {
	First     uint64    // as Log.First
	Last      uint64    // as Log.Last
	Floor     uint64    // up to here retention has removed everything
	Count     int64     // records kept; per-topic retention is counted when it is done
	Bytes     int64     // what MaxBytes bounds: frames and names of these records; for Memory, all it holds for them
	DiskBytes int64     // disk space used; 0 for logs that use none
	Sync      bool      // an acknowledged record survives a power cut
	Retention Retention // in force
	LostTail  LostTail  // acknowledged records that were missing when the log was opened
	Err       error     // why the log can't be written at present, nil if it can
}
