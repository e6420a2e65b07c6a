package logtest

import (
	"context"
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

// CheckPatternPages holds that a reader of a pattern gets what is rare behind very much that it does not want, by pages each of which looks at a bounded
// number of records.
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
	var got []uint64
	pages := 0
	for after := uint64(0); ; pages++ {
		p, err := l.Query(context.Background(), persist.Query{Topics: []string{"rare.>"}}, after, persist.Limit{})
		require.NoError(t, err)
		if p.UpTo == after {
			break
		}
		require.LessOrEqual(t, p.UpTo-after, uint64(16<<10), "looked at too much at once")
		for i := range p.Records {
			got = append(got, p.Records[i].ID)
		}
		after = p.UpTo
	}
	require.Equal(t, []uint64{rare}, got)
	require.Equal(t, 3, pages)
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

// OldTopics is the retention for CheckPatternFloor.
func OldTopics() persist.Retention {
	return persist.Retention{Topics: map[string]persist.Retention{"a.old": {MaxAge: time.Minute}, "c.old": {MaxAge: time.Minute}}}
}
