package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/spatehub/spate/wire"
)

// Registry is an Orderer that keeps a value for each of many names in its stream. A value
// is changed only where nobody else has changed it, and together with events that say so.
type Registry interface {
	Orderer

	// Value returns the value of a name. It may be one of some time ago; Change finds out.
	// Version 0 says that there is none.
	Value(ctx context.Context, name string) (Value, error)

	// Change puts another value in the place of the one of a version, and adds events,
	// all or nothing. ErrChanged: it has another version, and nothing was done. An error
	// that wraps ErrRefused says the same. After any other one nobody knows.
	Change(ctx context.Context, name string, version uint64, data []byte, events []*wire.Event) error

	// Values calls fn with the values of all names, each once at least, the newest of a
	// name last, until fn returns an error. What was put before the call is among them.
	Values(ctx context.Context, fn func(Value) error) error

	// Kept says which values the stream still has, as somebody last looked.
	Kept() Kept
}

// Kept is what a Registry has of values, and for how long.
type Kept struct {
	// Oldest and Newest are versions, of any names: a value before Oldest is gone.
	Oldest, Newest uint64

	// Bounded says that a value goes once enough has come after it.
	Bounded bool

	// Age is after which time a value goes; 0: it does not for that.
	Age time.Duration
}

// near says whether a value of a version has to be put again, or it will soon be gone, if
// it is not already. Version 0 is not known.
func (k Kept) near(version uint64) bool {
	if version == 0 {
		return false
	}
	return version < k.Oldest || k.Bounded && version < k.Oldest+(k.Newest-k.Oldest)/4
}

// Value is the value of a name.
type Value struct {
	Name    string
	Version uint64 // its place among all that were ever put
	Data    []byte
}

// ErrChanged: a value has been changed by somebody else.
var ErrChanged = errors.New("cluster: the value was changed by somebody else")
