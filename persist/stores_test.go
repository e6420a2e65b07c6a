package persist_test

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/spatehub/spate/wire"
)

// mapStore is the Store that most people would write: one list, IDs compared as
// numbers, next is the last ID of the page.
type mapStore struct {
	mu     sync.Mutex
	events []*wire.Event
	fail   func(e *wire.Event) error // before the event is kept, if not nil
	late   func(e *wire.Event) error // after that
}

func (s *mapStore) Save(_ context.Context, e *wire.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		if err := s.fail(e); err != nil {
			return err
		}
	}
	s.events = append(s.events, e)
	if s.late != nil {
		return s.late(e)
	}
	return nil
}

func (s *mapStore) ListByLastID(_ context.Context, typ, lastID string, n int) ([]*wire.Event, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var after uint64
	if lastID != "" {
		after, _ = wire.ParseID(lastID)
	}
	var page []*wire.Event
	for _, e := range s.events {
		if id, _ := wire.ParseID(e.ID); id <= after || typ != "" && e.Event != typ {
			continue
		}
		if len(page) == n {
			return page, page[n-1].ID, nil
		}
		page = append(page, e)
	}
	return page, "", nil
}

// seedStore has all the quirks of the example store of the library that this one
// follows: lists by type; an ID that is the newest or not in the list begins again
// from the start; next is the first event of the next page.
type seedStore struct {
	mu     sync.Mutex
	byType map[string][]*wire.Event
	calls  int

	inclusive bool // a page begins with the event of the given ID
	capped    int  // pages are never longer, 0 is no cap
	noNext    bool // next is never told
}

func (s *seedStore) Save(_ context.Context, e *wire.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byType == nil {
		s.byType = make(map[string][]*wire.Event)
	}
	s.byType[e.Event] = append(s.byType[e.Event], e)
	return nil
}

func (s *seedStore) ListByLastID(_ context.Context, typ, lastID string, n int) ([]*wire.Event, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.capped > 0 {
		n = min(n, s.capped)
	}
	list := s.byType[typ]
	start := 1 + slices.IndexFunc(list, func(e *wire.Event) bool { return e.ID == lastID })
	if start == len(list) {
		start = 0
	}
	if start > 0 && s.inclusive {
		start--
	}
	end := min(start+n, len(list))
	next := ""
	if end < len(list) && !s.noNext {
		next = list[end].ID
	}
	return slices.Clone(list[start:end]), next, nil
}

// forgetful is a Store that keeps what its table has columns for.
type forgetful struct{ mapStore }

func (s *forgetful) Save(ctx context.Context, e *wire.Event) error {
	return s.mapStore.Save(ctx, &wire.Event{ID: e.ID, Event: e.Event, Data: e.Data})
}

// shuffled returns each page in another order.
type shuffled struct{ mapStore }

func (s *shuffled) ListByLastID(ctx context.Context, typ, lastID string, n int) ([]*wire.Event, string, error) {
	page, next, err := s.mapStore.ListByLastID(ctx, typ, lastID, n)
	slices.SortFunc(page, func(a, b *wire.Event) int { return -cmp.Compare(a.ID, b.ID) })
	return page, next, err
}
