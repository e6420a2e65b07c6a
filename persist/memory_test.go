package persist_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/logtest"
)

// heap returns how much memory is in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestMemoryCountsAllItHolds is invariant 5 for the memory log: what it counts against
// its bound is about what it takes, whatever it is made of.
func TestMemoryCountsAllItHolds(t *testing.T) {
	users := make([]string, 10_000)
	for i := range users {
		users[i] = fmt.Sprintf("user-%d", i)
	}
	for name, c := range map[string]struct {
		n      int
		record func(id uint64) persist.Record
	}{
		"many users": {150, func(id uint64) persist.Record {
			return persist.Record{ID: id, Users: users, Frame: logtest.Frame(id, 100)}
		}},
		"others each": {30_000, func(id uint64) persist.Record {
			return persist.Record{ID: id, Users: []string{fmt.Sprint("u", id)}, Frame: logtest.Frame(id, 10)}
		}},
		"small": {50_000, func(id uint64) persist.Record { return persist.Record{ID: id, Frame: logtest.Frame(id, 1)} }},
		"large": {1000, func(id uint64) persist.Record {
			return persist.Record{ID: id, Topic: "t", Frame: logtest.Frame(id, 20_000)}
		}},
		"fresh topics": {30_000, func(id uint64) persist.Record {
			return persist.Record{ID: id, Topic: fmt.Sprint("topic", id), Key: "key", Frame: logtest.Frame(id, 10)}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			before := heap()
			l := persist.NewMemory(persist.WithRetention(persist.Retention{MaxBytes: 1 << 40, Topics: map[string]persist.Retention{"*": {MaxCount: 1 << 40}}}))
			for id := range uint64(c.n) {
				require.NoError(t, l.Append(ctx, []persist.Record{c.record(id + 1)}))
			}
			taken, counted := heap()-before, l.LogStats().Bytes
			t.Logf("counted %d, takes %d", counted, taken)
			require.Less(t, float64(taken), 1.5*float64(counted))
			require.Greater(t, float64(taken), 0.5*float64(counted))
			require.NoError(t, l.Close())
		})
	}
}

// TestMemoryGivesBack holds that topics and users that come and go leave nothing
// behind but what is bounded: neither memory nor bytes that are counted for nothing.
func TestMemoryGivesBack(t *testing.T) {
	const n, maxFloors = 30_000, 4096
	clock := logtest.NewClock()
	before := heap()
	l := persist.NewMemory(persist.WithMaxFloors(maxFloors), persist.WithClock(clock), persist.WithRetention(persist.Retention{
		Topics: map[string]persist.Retention{"*": {MaxAge: time.Minute}},
	}))
	for id := uint64(1); id <= n; id++ {
		r := persist.Record{ID: id, Topic: fmt.Sprint("topic-", id), Time: clock.Now().UnixMilli(), Frame: logtest.Frame(id, 10)}
		if id%2 == 0 {
			r.Users = []string{fmt.Sprint("user-", id), "all"}
		}
		require.NoError(t, l.Append(ctx, []persist.Record{r}))
	}
	full := heap() - before
	clock.Advance(2 * time.Minute)
	require.Zero(t, l.First())
	s := l.LogStats()
	require.Zero(t, s.Count)
	require.Zero(t, s.Bytes)
	left := heap() - before
	t.Logf("%d bytes of %d are left, for %d floors", left, full, maxFloors)
	require.Less(t, left, min(full/4, maxFloors*300))

	// Floors that were merged tell of too much, and never of too little.
	for _, id := range []uint64{1, n / 2, n - 1} {
		require.GreaterOrEqual(t, l.Floor([]string{fmt.Sprint("topic-", id)}), id)
	}
	require.Zero(t, l.Floor(nil))
	runtime.KeepAlive(l)
}

// TestMemoryHoles holds that records which stay among removed ones are still found,
// and do not hold the memory of those.
func TestMemoryHoles(t *testing.T) {
	before := heap()
	l := persist.NewMemory(persist.WithRetention(persist.Retention{Topics: map[string]persist.Retention{"goes": {MaxCount: 1}}}))
	var want []uint64
	for id := uint64(1); id <= 20_000; id += 100 {
		var batch []persist.Record
		for i := range uint64(100) {
			batch = append(batch, persist.Record{ID: id + i, Topic: "goes", Users: []string{"u", "v", "u"}, Frame: logtest.Frame(id+i, 1000)})
		}
		batch[7].Topic = "stays"
		want = append(want, id+7)
		require.NoError(t, l.Append(ctx, batch))
	}
	want = append(want, 20_000)
	require.Equal(t, want, logtest.IDs(logtest.ReadAll(t, l, 0, 7)))
	require.Equal(t, want, logtest.IDs(logtest.QueryAll(t, l, persist.Query{User: "u"}, 0, 7)))
	require.Equal(t, want[:len(want)-1], logtest.IDs(logtest.QueryAll(t, l, persist.Query{User: "v"}, 0, 7))[:len(want)-1])
	require.Less(t, heap()-before, int64(3<<20), "of 20 MB")
	runtime.KeepAlive(l)
}

// BenchmarkTopicsComeAndGo appends records of which each has a topic of its own, and
// has them expire: a million by default take constant time and memory each.
func BenchmarkTopicsComeAndGo(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				clock := logtest.NewClock()
				before := heap()
				start := time.Now()
				l := persist.NewMemory(persist.WithClock(clock), persist.WithRetention(persist.Retention{
					Topics: map[string]persist.Retention{"*": {MaxAge: time.Minute}},
				}))
				for id := uint64(1); id <= uint64(n); id++ {
					r := persist.Record{ID: id, Topic: fmt.Sprint("topic-", id), Time: clock.Now().UnixMilli(), Frame: logtest.Frame(id, 10)}
					if err := l.Append(ctx, []persist.Record{r}); err != nil {
						b.Fatal(err)
					}
					if id%1000 == 0 {
						clock.Advance(time.Second)
					}
				}
				clock.Advance(2 * time.Minute)
				if l.First() != 0 {
					b.Fatal("something stayed")
				}
				b.ReportMetric(float64(time.Since(start).Nanoseconds())/float64(n), "ns/record")
				b.ReportMetric(float64(heap()-before), "left-B")
				runtime.KeepAlive(l)
			}
		})
	}
}
