package cluster

import (
	"context"
	"errors"

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

// Page is a part of the stream: every event with After < ID ≤ UpTo is in it. Where
// After is above what was asked for, what is between is lost.
type Page struct {
	After, UpTo uint64
	Entries     []Entry // ascending; ephemeral ones, with ID 0, anywhere
}

// Entry is one event of a page. It is not changed any more.
type Entry struct {
	ID    uint64
	Token string // that it was published with
	Event *wire.Event
}

// ErrRefused: nothing of a Publish was added or will be.
var ErrRefused = errors.New("cluster: events were refused")
