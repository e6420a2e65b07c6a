package logtest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist"
)

// Indexed is a log with an index.
type Indexed interface {
	persist.Log
	persist.Querier
}

// CheckPatternPages holds that a reader of a pattern that may have topics anywhere gets
// what is rare behind very much that it does not want, by pages each of which looks at a
// bounded number of records; and that a range of topics is found at once.
func CheckPatternPages(t *testing.T, l Indexed) {
	t.Helper()
	const n, rare = 40_000, 39_000
	recs := make([]persist.Record, n)
	for i := range recs {
		recs[i] = persist.Record{ID: uint64(i + 1), Topic: "common", Frame: Frame(uint64(i+1), 0)}
	}
	recs[rare-1].Topic = "rare.one"
	for from := 0; from < n; from += 1000 {
		require.NoError(t, l.Append(context.Background(), recs[from:from+1000]))
	}
	for pattern, wantPages := range map[string]int{"*.one": 3, "rare.>": 1, "rare.*": 1, "*.>": 3} {
		var got []uint64
		pages := 0
		for after := uint64(0); ; pages++ {
			p, err := l.Query(context.Background(), persist.Query{Topics: []string{pattern}}, after, persist.Limit{})
			require.NoError(t, err)
			if p.UpTo == after {
				break
			}
			if wantPages > 1 {
				require.LessOrEqual(t, p.UpTo-after, uint64(16<<10), "looked at too much at once")
			}
			got = append(got, IDs(p.Records)...)
			after = p.UpTo
		}
		require.Equal(t, []uint64{rare}, got, pattern)
		require.Equal(t, wantPages, pages, pattern)
	}
}

// Looker is a log that tells how many keys of its index, or topics, and records a query
// looked at.
type Looker interface {
	Indexed
	Looks(q persist.Query, after uint64, lim persist.Limit) (persist.Page, int, error)
}

// CheckPatternLooks holds what resuming by a pattern costs: in proportion to what it
// returns where the pattern ends in a ">", and a bounded number of looks for a page
// otherwise.
func CheckPatternLooks(t *testing.T, l Looker) {
	t.Helper()
	const n, step, bound = 100_000, 13, 2 * 16 << 10
	recs := make([]persist.Record, 0, 1000)
	var want []uint64
	id := uint64(1)
	for i := range n {
		r := persist.Record{ID: id, Topic: fmt.Sprintf("orders.us.%d", i), Frame: Frame(id, 0)}
		switch {
		case i%10_000 == 5000:
			r.Topic = fmt.Sprintf("orders.eu.%d", i)
			want = append(want, id)
		case i%3 == 0:
			r.Topic = fmt.Sprintf("pay.%d.eu", i)
		}
		id += step // over several segments of an index
		if recs = append(recs, r); len(recs) == cap(recs) {
			require.NoError(t, l.Append(context.Background(), recs))
			recs = recs[:0]
		}
	}
	last := id - step
	read := func(q persist.Query, after uint64, lim persist.Limit) (got []uint64, looks int) {
		t.Helper()
		for pages := 0; pages < n; pages++ {
			p, k, err := l.Looks(q, after, lim)
			require.NoError(t, err)
			require.LessOrEqual(t, k, bound, "a page of %v after %d", q.Topics, after)
			looks += k
			if got = append(got, IDs(p.Records)...); p.UpTo == after {
				break
			}
			after = p.UpTo
		}
		require.Equal(t, last, after)
		return got, looks
	}
	for _, q := range []persist.Query{
		{Topics: []string{"orders.eu.>"}},
		{Topics: []string{"orders.eu.>", "orders.eu.5000", "none", "none.>"}},
		{Topics: []string{"orders.eu.>", "orders.eu.0.>"}, User: "nobody", Public: true},
		{Topics: []string{"orders.eu.*"}},
	} {
		got, looks := read(q, 0, persist.Limit{})
		require.Equal(t, want, got)
		require.Less(t, looks, 20*len(want), "%v", q.Topics)
		got, looks = read(q, want[4], persist.Limit{Records: 2})
		require.Equal(t, want[5:], got)
		require.Less(t, looks, 40*len(want), "%v", q.Topics)
	}
	// Much of what there is: each page has as much as fits, and costs little more.
	got, looks := read(persist.Query{Topics: []string{"orders.>"}}, 0, persist.Limit{Records: 2000})
	require.Greater(t, len(got), n/2)
	require.Less(t, looks, 20*len(got))
	// These may be anywhere: all that there is is looked at, and not more than about once.
	for _, pattern := range []string{"*.eu.>", "*.*.eu", "pay.*.eu"} {
		got, looks = read(persist.Query{Topics: []string{pattern}}, 0, persist.Limit{})
		require.NotEmpty(t, got, pattern)
		require.Less(t, looks, 20*n, pattern)
	}
}

// CheckPatternFloor holds that the floor of a pattern is that of its topics. The log keeps records of topics below "old" for a minute, others for ever; settle
// has it remove what is too old.
func CheckPatternFloor(t *testing.T, l persist.Log, clock *Clock, settle func()) {
	t.Helper()
	for id, topic := range []string{1: "a.old", 2: "b", 3: "a.new", 4: "c.old"} {
		if topic != "" {
			r := persist.Record{ID: uint64(id), Topic: topic, Time: clock.Now().UnixMilli(), Frame: Frame(uint64(id), 1)}
			require.NoError(t, l.Append(context.Background(), []persist.Record{r}))
		}
	}
	clock.Advance(2 * time.Minute)
	settle()
	for pattern, floor := range map[string]uint64{"a.old": 1, "c.old": 4, "a.*": 1, "a.>": 1, "*.old": 4, ">": 4, "b.>": 0, "*": 0, "a.new": 0, "*.new": 0} {
		require.Equal(t, floor, l.Floor([]string{"b", pattern}), pattern)
	}
}

// ManyTopics is how many topics CheckMergedFloor raises the floors of. A log for it
// remembers fewer by name.
const ManyTopics = 100

// CheckMergedFloor is invariant 3 where a topic has no bounds any more: of what retention
// removed while it had, its readers are told, also when so many other topics have floors
// since that its own is not remembered by name.
func CheckMergedFloor(t *testing.T, l interface {
	persist.Log
	persist.Retainer
}, clock *Clock, settle func()) {
	t.Helper()
	id := uint64(0)
	expire := func(topic string) {
		id++
		r := persist.Record{ID: id, Topic: topic, Time: clock.Now().UnixMilli(), Frame: Frame(id, 1)}
		require.NoError(t, l.Append(context.Background(), []persist.Record{r}))
	}
	aged := persist.Retention{MaxAge: time.Minute}
	require.NoError(t, l.SetRetention(persist.Retention{Topics: map[string]persist.Retention{"*": aged}}))
	expire("former")
	clock.Advance(2 * time.Minute)
	settle()
	require.EqualValues(t, 1, l.Floor([]string{"former"}))
	require.NoError(t, l.SetRetention(persist.Retention{Topics: map[string]persist.Retention{"*": aged, "former": {}, "never": {}}}))
	for i := range ManyTopics {
		expire(fmt.Sprint("topic-", i))
	}
	clock.Advance(2 * time.Minute)
	settle()
	require.Greater(t, l.Floor([]string{"topic-0"}), uint64(10), "floors were merged")
	require.EqualValues(t, 1, l.Floor([]string{"former"}))
}

// OldTopics is the retention for CheckPatternFloor.
func OldTopics() persist.Retention {
	return persist.Retention{Topics: map[string]persist.Retention{"a.old": {MaxAge: time.Minute}, "c.old": {MaxAge: time.Minute}}}
}
