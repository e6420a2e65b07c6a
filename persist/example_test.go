package persist_test

import (
	"context"
	"fmt"

	"github.com/spatehub/spate/persist"
)

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
