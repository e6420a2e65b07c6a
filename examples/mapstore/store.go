package main

import (
	"context"
	"slices"
	"sync"

	"github.com/spatehub/spate/wire"
)

// MapStore is a persist.Store on a map: what a user writes to keep events in a database of their own. It may be used
// by any number of goroutines.
type MapStore struct {
	mu     sync.RWMutex
	events map[uint64]*wire.Event
	ids    []uint64 // keys of events, ascending: the hub saves in the order of the IDs
}

// NewMapStore returns an empty store.
func NewMapStore() *MapStore { return &MapStore{events: map[uint64]*wire.Event{}} }

// Save keeps e.
func (s *MapStore) Save(_ context.Context, e *wire.Event) error {
	id, err := wire.ParseID(e.ID)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events[id] = e
	s.ids = append(s.ids, id)
	return nil
}

// ListByLastID returns up to pageSize events of the type (any, where it is empty) after lastID (from the first, where it
// is empty), and the ID to go on after, "" on the last page.
func (s *MapStore) ListByLastID(_ context.Context, eventType, lastID string, pageSize int) ([]*wire.Event, string, error) {
	var after uint64
	if lastID != "" {
		var err error
		if after, err = wire.ParseID(lastID); err != nil {
			return nil, "", err
		}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	at, found := slices.BinarySearch(s.ids, after)
	if found {
		at++
	}
	var page []*wire.Event
	for _, id := range s.ids[at:] {
		e := s.events[id]
		if eventType != "" && e.Event != eventType {
			continue
		}
		if len(page) == pageSize {
			return page, page[len(page)-1].ID, nil
		}
		page = append(page, e)
	}
	return page, "", nil
}
