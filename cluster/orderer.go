package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/spatehub/spate/wire"
)

// Orderer puts events into one order and commits them. Its methods are called by any
// number of goroutines, but for Follow, which one goroutine runs.
type Orderer interface {
	// Origin returns the ID before the first one of the stream. It does not change
	// for the stream's life. A stream that takes the place of another one has an
	// origin above all IDs of that.
	Origin(ctx context.Context) (uint64, error)

	// Publish adds events, all or none, next to each other. nil means that they are
	// committed: a quorum has them. It may be called again with the same token, and
	// then adds nothing if they are there. After an error that wraps ErrRefused this
	// call has added nothing, and will not; after any other one nobody knows.
	//
	// The data of an event is a string or []byte. Ephemeral events get no ID and are
	// passed to whoever follows at the moment, at most once each, perhaps out of
	// order, after the others are committed.
	Publish(ctx context.Context, token string, events []*wire.Event) error

	// Follow calls fn with the committed events after an ID, in order, and goes on
	// with those to come, until ctx ends or fn returns an error. It may return any
	// error at any time, and is then called again.
	Follow(ctx context.Context, after uint64, fn func(Page) error) error

	// Head returns an ID that is not lower than that of any event committed before
	// the call, by whomever; it fails where that is not to be found out.
	Head(ctx context.Context) (uint64, error)
}

// Noter is an Orderer that keeps notes with events. A note is no event: nobody gets it.
type Noter interface {
	Orderer

	// PublishNoted is Publish with a note before the events, also where all of these are
	// ephemeral. The token may have been used by anybody: then nothing is added, and no
	// ephemeral event passed on. Tokens are remembered for two minutes at least. The IDs of
	// the events that are not ephemeral follow the note's, without holes.
	PublishNoted(ctx context.Context, token string, note []byte, events []*wire.Event) error

	// Notes calls fn with the notes since a time, and before the call, until fn returns
	// an error. What was committed before the call is among them.
	Notes(ctx context.Context, since time.Time, fn func(Note) error) error
}

// Note is what a push has left.
type Note struct {
	ID    uint64
	Token string
	Time  time.Time // of its being added, by a clock of the orderer's
	Data  []byte
}

// Page is a part of the stream: every event with After < ID ≤ UpTo is in it. Where
// After is above what was asked for, what is between is lost.
type Page struct {
	After, UpTo uint64
	Entries     []Entry // ascending; ephemeral ones, with ID 0, anywhere, but see OnWord
	Notes       []Note  // ascending
	Values      []Value // of a Registry, as they were put, ascending
}

// Entry is one event of a page. It is not changed any more.
type Entry struct {
	ID    uint64
	Token string // that it was published with
	Event *wire.Event
}

// ErrRefused: nothing of a Publish was added or will be.
var ErrRefused = errors.New("cluster: events were refused")
