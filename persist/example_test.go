package persist_test

import (
	"context"
	"fmt"
	"os"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
)

// A log can be used without a hub, as a Store.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "events")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	log, err := persist.Open(dir, persist.WithRetention(persist.Retention{MaxCount: 1_000_000}))
	if err != nil {
		panic(err)
	}
	defer log.Close()
	ctx := context.Background()
	for id := uint64(1); id <= 3; id++ {
		e := &wire.Event{ID: wire.FormatID(id), Event: "order", Data: map[string]uint64{"number": id}}
		if err := log.Save(ctx, e); err != nil {
			panic(err)
		}
	}
	events, _, err := log.ListByLastID(ctx, "order", "1", 10)
	if err != nil {
		panic(err)
	}
	for _, e := range events {
		fmt.Println(e.ID, e.Data)
	}
	// Output:
	// 2 {"number":2}
	// 3 {"number":3}
}

// The records of one topic are found by an index, and a page says how far it is
// complete.
func ExampleQuerier() {
	log := persist.NewMemory()
	defer log.Close()
	ctx := context.Background()
	err := log.Append(ctx, []persist.Record{
		{ID: 10, Topic: "news", Frame: []byte("id: 10\ndata: a\n\n")},
		{ID: 11, Topic: "sport", Frame: []byte("id: 11\ndata: b\n\n")},
		{ID: 12, Users: []string{"ann"}, Frame: []byte("id: 12\ndata: c\n\n")},
	})
	if err != nil {
		panic(err)
	}
	page, err := log.Query(ctx, persist.Query{Topics: []string{"news"}}, 0, persist.Limit{})
	if err != nil {
		panic(err)
	}
	for _, r := range page.Records {
		fmt.Printf("%q\n", r.Frame)
	}
	fmt.Println("complete up to", page.UpTo)
	// Output:
	// "id: 10\ndata: a\n\n"
	// complete up to 12
}
