package pebblelog_test

import (
	"context"
	"fmt"
	"os"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/pebblelog"
	"github.com/spatehub/spate/wire"
)

// A log can be used without a hub, as a Store.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "events")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	log, err := pebblelog.Open(dir, pebblelog.WithRetention(persist.Retention{MaxCount: 1_000_000}))
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
