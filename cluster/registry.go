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

	// Lasts is how long a value is kept that nobody puts again; 0: for ever.
	Lasts() time.Duration
}

// Value is the value of a name.
type Value struct {
	Name    string
	Version uint64 // of the name; rises
	Data    []byte
}

// ErrChanged: a value has been changed by somebody else.
var ErrChanged = errors.New("cluster: the value was changed by somebody else")
