package sse

import (
	"context"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
)

// Store keeps events for resending; see [persist.Store] for the contract in full.
type Store interface {
	// Save keeps an event, which has its ID.
	Save(ctx context.Context, e *Event) error

	// ListByLastID returns at most pageSize events of a type after lastID, oldest
	// first, and the ID of the last of them if more follow, else "".
	ListByLastID(ctx context.Context, eventType string, lastID string, pageSize int) ([]*Event, string, error)
}

// store is a Store as persist knows it.
type store struct{ Store }

var _ persist.Store = store{}

// Save implements [persist.Store].
func (s store) Save(ctx context.Context, e *wire.Event) error {
	return s.Store.Save(ctx, (*Event)(e))
}

// ListByLastID implements [persist.Store].
func (s store) ListByLastID(ctx context.Context, eventType, lastID string, pageSize int) ([]*wire.Event, string, error) {
	events, next, err := s.Store.ListByLastID(ctx, eventType, lastID, pageSize)
	return wireEvents(events), next, err
}
