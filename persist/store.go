package persist

import (
	"context"

	"github.com/spatehub/spate/wire"
)

// Store is what users implement to keep events where they like: a map, Redis, a
// table of a database.
type Store interface {
	// Save keeps e, whose ID, Users, Topic, Key and Data (a string) are set. The
	// hub saves events in the order of their IDs and never twice. Save may keep e:
	// it is a copy made for it.
	Save(ctx context.Context, e *wire.Event) error

	// ListByLastID returns up to pageSize saved events of a type, oldest first,
	// that come after the one with the given ID, and the ID to pass for the next
	// page, "" when there is none.
	ListByLastID(ctx context.Context, eventType, lastID string, pageSize int) ([]*wire.Event, string, error)
}
