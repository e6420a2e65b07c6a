package persisttest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
)

// TestStore checks a Store, first by itself and then as the [persist.Log] that
// [persist.FromStore] makes of it. open returns a new, empty one each time.
//
// A Store may keep types apart, begin its pages with the event of the given ID or
// after it, and begin from the start when it does not know that ID or when nothing
// follows: FromStore gets along with all that.
func TestStore(t *testing.T, open func(t *testing.T) persist.Store) {
	for _, c := range []struct {
		name, rule string
		run        func(t *testing.T, s persist.Store, broken func(string, ...any))
	}{
		{"fields", "A Store gives back the ID, type, data, users, topic and key of an event as they were saved.", checkStoreFields},
		{"pages", "Asking for what follows the newest event of each page reaches every event, in order.", checkStorePages},
		{"independent", "Reading does not change what a Store holds, and saving one event does not change others.", checkStoreIndependent},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.run(t, open(t), func(format string, args ...any) {
				t.Helper()
				t.Fatalf("%s\n\t"+format, append([]any{c.rule}, args...)...)
			})
		})
	}
	t.Run("log", func(t *testing.T) {
		TestLog(t, func(t *testing.T) persist.Log { return persist.FromStore(open(t)) })
	})
}

func storeEvents() []*wire.Event {
	var events []*wire.Event
	for i := range 60 {
		e := &wire.Event{
			ID:    wire.FormatID(uint64(100 + i*i)),
			Event: []string{"message", "order", ""}[i%3],
			Data:  fmt.Sprintf("data %d\nin \"two\" lines", i),
		}
		if i%4 == 1 {
			e.Users = []string{"u1", fmt.Sprintf("u%d", i)}
		}
		if i%5 == 1 {
			e.Topic = "topic"
		}
		if i%7 == 1 {
			e.Key = "key"
		}
		events = append(events, e)
	}
	return events
}

func saveAll(t *testing.T, s persist.Store, events []*wire.Event) {
	t.Helper()
	for _, e := range events {
		c := *e
		c.Users = slices.Clone(e.Users)
		if err := s.Save(context.Background(), &c); err != nil {
			t.Fatalf("Save of event %s: %v", e.ID, err)
		}
	}
}

// collect returns all events of a Store by the rules that FromStore relies on.
func collect(t *testing.T, s persist.Store, typ string, pageSize int) map[string]*wire.Event {
	t.Helper()
	found := make(map[string]*wire.Event)
	for pos := uint64(0); ; {
		lastID := ""
		if pos != 0 {
			lastID = wire.FormatID(pos)
		}
		page, _, err := s.ListByLastID(context.Background(), typ, lastID, pageSize)
		if err != nil {
			t.Fatalf("ListByLastID(%q, %q, %d): %v", typ, lastID, pageSize, err)
		}
		highest := pos
		for _, e := range page {
			id, err := wire.ParseID(e.ID)
			if err != nil {
				t.Fatalf("ListByLastID returned an event with ID %q: %v", e.ID, err)
			}
			highest = max(highest, id)
			found[e.ID] = e
		}
		if highest == pos {
			return found
		}
		pos = highest
	}
}

var storeTypes = []string{"", "message", "order"}

func checkStoreFields(t *testing.T, s persist.Store, broken func(string, ...any)) {
	events := storeEvents()
	saveAll(t, s, events)
	found := make(map[string]*wire.Event)
	for _, typ := range storeTypes {
		for id, e := range collect(t, s, typ, 1000) {
			found[id] = e
		}
	}
	for _, want := range events {
		got := found[want.ID]
		if got == nil {
			broken("event %s of type %q is not listed", want.ID, want.Event)
			return
		}
		sameType := got.Event == want.Event || want.Event == "" && got.Event == wire.DefaultEventType
		if !sameType || got.Data != want.Data || got.Topic != want.Topic ||
			got.Key != want.Key || !slices.Equal(got.Users, want.Users) {
			broken("got %+v\n\twant %+v", *got, *want)
		}
	}
}

func checkStorePages(t *testing.T, s persist.Store, broken func(string, ...any)) {
	events := storeEvents()
	saveAll(t, s, events)
	// A page of one event that begins with the given ID would never get further.
	for _, size := range []int{2, 7, 1000} {
		found := make(map[string]bool)
		for _, typ := range storeTypes {
			for id := range collect(t, s, typ, size) {
				found[id] = true
			}
		}
		if len(found) != len(events) {
			broken("in pages of %d, %d of %d events are found", size, len(found), len(events))
		}
	}
}

func checkStoreIndependent(t *testing.T, s persist.Store, broken func(string, ...any)) {
	events := storeEvents()
	saveAll(t, s, events[:30])
	before := collect(t, s, "order", 1000)
	saveAll(t, s, events[30:])
	after := collect(t, s, "order", 1000)
	for id, was := range before {
		is := after[id]
		if is == nil || is.Data != was.Data || is.ID != was.ID {
			broken("event %s was %+v and is %+v", id, was, is)
		}
	}
}
