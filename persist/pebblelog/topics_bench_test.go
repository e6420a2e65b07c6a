package pebblelog_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/internal/testrace"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/logtest"
	"github.com/spatehub/spate/persist/pebblelog"
)

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// comeAndGo appends n records of which each has a topic of its own, in batches of 100,
// as time goes by, and lets them become too old. It returns how long retention took.
func comeAndGo(tb testing.TB, l *pebblelog.Log, clock *logtest.Clock, n int) (retention time.Duration) {
	id := uint64(1)
	recs := make([]persist.Record, 100)
	settle := func() {
		start := time.Now()
		l.Settle()
		retention += time.Since(start)
	}
	for id <= uint64(n) {
		for i := range recs {
			recs[i] = persist.Record{ID: id, Topic: fmt.Sprint("topic-", id), Time: clock.Now().UnixMilli(), Frame: logtest.Frame(id, 10)}
			id++
		}
		require.NoError(tb, l.Append(ctx, recs))
		if clock.Advance(100 * time.Millisecond); id%10_000 == 1 {
			settle()
		}
	}
	clock.Advance(2 * time.Minute)
	settle()
	return retention
}

var shortLived = pebblelog.WithRetention(persist.Retention{
	Topics: map[string]persist.Retention{"*": {MaxAge: time.Minute}},
})

// TestTopicsThatGoLeaveNothing holds that topics which come and go leave nothing
// behind but what is bounded, in memory or on the disk, and that merged floors tell of
// too much and never of too little.
func TestTopicsThatGoLeaveNothing(t *testing.T) {
	const n, maxFloors = 8000, 2048
	clock := logtest.NewClock()
	dir := t.TempDir()
	l := openPebble(t, dir, pebblelog.WithSync(false), pebblelog.WithClock(clock), pebblelog.WithMaxFloors(maxFloors), shortLived)
	comeAndGo(t, l, clock, n)
	check := func() {
		t.Helper()
		require.Zero(t, l.First())
		s := l.LogStats()
		require.Zero(t, s.Count)
		require.Zero(t, s.Bytes)
		require.Zero(t, l.CountKeys('e'))
		require.Zero(t, l.CountKeys('i'))
		require.Zero(t, l.CountKeys('k'))
		require.LessOrEqual(t, l.CountKeys('m'), 1)
		require.LessOrEqual(t, l.CountKeys('f'), maxFloors)
		for _, id := range []int{1, n / 2, n} {
			require.GreaterOrEqual(t, l.Floor([]string{fmt.Sprint("topic-", id)}), uint64(id))
		}
		require.Zero(t, l.Floor(nil))
	}
	check()
	require.NoError(t, l.Close())
	l = openPebble(t, dir, pebblelog.WithSync(false), pebblelog.WithClock(clock), pebblelog.WithMaxFloors(maxFloors), shortLived)
	check()
	require.NoError(t, l.Close())
}

// TestTopicsThatGoCostTheSame holds that to remove a topic's records does not pass what
// was removed of others before, over several segments of the index, with and without an
// audience, and beside topics that stay from the beginning; that those are still all
// there is, in this life and the next; and that no table is left of what is gone.
func TestTopicsThatGoCostTheSame(t *testing.T) {
	if testrace.On {
		t.Skip("counts work, of one goroutine: make test has it without the race detector")
	}
	const n, step, stays = 12_000, 100, 4000 // 1,200,000 IDs are 5 segments
	clock, dir := logtest.NewClock(), t.TempDir()
	open := func() *pebblelog.Log {
		return openPebble(t, dir, pebblelog.WithSync(false), pebblelog.WithClock(clock), pebblelog.WithMaxFloors(1024), pebblelog.WithRetention(persist.Retention{
			MaxCount: 8 * 500, // chunks of 500
			Topics:   map[string]persist.Retention{"*": {MaxAge: time.Minute}, "stays": {}},
		}))
	}
	l := open()
	var want []uint64
	passed := 0
	for i := range n {
		r := persist.Record{ID: uint64(i+1) * step, Topic: fmt.Sprint("topic-", (i*7919)%n), Time: clock.Now().UnixMilli()}
		r.Frame = logtest.Frame(r.ID, 10)
		switch {
		case i%stays == 0:
			r.Topic = "stays"
			want = append(want, r.ID)
		case i%3 == 0:
			r.Users = []string{fmt.Sprint("user-", i)}
		}
		require.NoError(t, l.Append(ctx, []persist.Record{r}))
		if clock.Advance(100 * time.Millisecond); i == n/2 {
			require.NoError(t, l.Close())
			l = open()
		}
		if i%1000 == 999 {
			l.Settle()
			passed = max(passed, l.Passed())
		}
	}
	clock.Advance(2 * time.Minute)
	l.Settle()
	require.Less(t, passed, 20*n)
	check := func() {
		t.Helper()
		require.Equal(t, want, logtest.IDs(logtest.ReadAll(t, l, 0, 10)))
		require.Equal(t, want, logtest.IDs(logtest.QueryAll(t, l, persist.Query{Topics: []string{"stays", "topic-1"}}, 0, 10)))
		require.Empty(t, logtest.QueryAll(t, l, persist.Query{User: "user-3"}, 0, 10))
		checkStats(t, l, logtest.ReadAll(t, l, 0, 10))
		require.Equal(t, len(want), l.CountKeys('e'))
		require.Equal(t, len(want), l.CountKeys('i'))
	}
	check()
	require.NoError(t, l.Close())
	l = open()
	check()
	require.NoError(t, l.Close())
}

// BenchmarkTopicsComeAndGo is a million topics that come and go, and smaller numbers:
// each costs the same.
func BenchmarkTopicsComeAndGo(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				clock := logtest.NewClock()
				before := heap()
				l := openPebble(b, b.TempDir(), pebblelog.WithSync(false), pebblelog.WithClock(clock), shortLived)
				start := time.Now()
				retention := comeAndGo(b, l, clock, n)
				all := time.Since(start)
				require.Zero(b, l.First())
				b.ReportMetric(float64(retention.Nanoseconds())/float64(n), "retention-ns/topic")
				b.ReportMetric(float64((all-retention).Nanoseconds())/float64(n), "append-ns/record")
				b.ReportMetric(float64(heap()-before), "left-B")
				require.NoError(b, l.Close())
			}
		})
	}
}
