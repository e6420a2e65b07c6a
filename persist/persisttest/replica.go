package persisttest

import (
	"context"

	"github.com/spatehub/spate/persist"
)

func checkReplica(t *logTest) {
	l, ok := t.log.(persist.Replica)
	if !ok {
		t.Skip("the log is no Replica")
	}
	state := func(first, last, floor uint64) {
		t.Helper()
		if f, l, fl := t.log.First(), t.log.Last(), t.log.Floor(nil); f != first || l != last || fl != floor {
			t.broken("First, Last, Floor = %d, %d, %d, want %d, %d, %d", f, l, fl, first, last, floor)
		}
		page, err := t.log.Read(context.Background(), 0, persist.Limit{})
		t.must(err)
		if first == 0 && len(page.Records) != 0 {
			t.broken("%d records are left, the first with ID %d", len(page.Records), page.Records[0].ID)
		}
	}
	t.must(l.StartOver(7)) // of an empty one
	state(0, 7, 7)
	topic := plain(9)
	topic.Topic = "topic"
	mine := plain(10)
	mine.Users = []string{"u"}
	t.append(plain(8), topic, mine)
	t.wantErr("StartOver at what is there", l.StartOver(10), persist.ErrOrder)
	state(8, 10, 7)
	t.must(l.StartOver(20))
	state(0, 20, 20)
	if q, ok := t.log.(persist.Querier); ok {
		for _, query := range []persist.Query{{Public: true}, {Topics: []string{"topic"}}, {User: "u"}} {
			page, err := q.Query(context.Background(), query, 0, persist.Limit{})
			t.must(err)
			if len(page.Records) != 0 {
				t.broken("query %+v still finds record %d", query, page.Records[0].ID)
			}
		}
	}
	t.wantErr("Append of an ID from before", t.log.Append(context.Background(), []persist.Record{plain(20)}), persist.ErrOrder)
	t.append(plain(21), plain(30))
	state(21, 30, 20)
	if n := t.log.Floor([]string{"topic"}); n != 20 {
		t.broken("Floor of a topic is %d, want 20", n)
	}
}
