package pebblelog_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/internal/testrace"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/logtest"
	"github.com/spatehub/spate/persist/pebblelog"
)

// settle makes a log keep its retention now.
func settle(l persist.Log) {
	if p, ok := l.(*pebblelog.Log); ok {
		p.Settle()
	}
}

// openFunc opens a log; without a clock it goes by the system's.
type openFunc func(r persist.Retention, clock persist.Clock) querierLog

// bothLogs runs a test on a log in memory and one on disk.
func bothLogs(t *testing.T, test func(t *testing.T, open openFunc)) {
	t.Run("Memory", func(t *testing.T) {
		test(t, func(r persist.Retention, clock persist.Clock) querierLog {
			return persist.NewMemory(persist.WithRetention(r), persist.WithClock(clock))
		})
	})
	t.Run("Pebble", func(t *testing.T) {
		test(t, func(r persist.Retention, clock persist.Clock) querierLog {
			return openPebble(t, "log", pebblelog.WithRetention(r), pebblelog.WithClock(clock), pebblelog.WithFS(vfs.NewMem()))
		})
	})
}

// appendAt appends records one by one, all with the time at.
func appendAt(t *testing.T, l persist.Log, at time.Time, topic string, ids ...uint64) {
	t.Helper()
	for _, id := range ids {
		require.NoError(t, l.Append(ctx, []persist.Record{
			{ID: id, Topic: topic, Time: at.UnixMilli(), Frame: logtest.Frame(id, 1)},
		}))
	}
}

// requireKept requires that a log has the newest of the records 1..last, at least
// atLeast and at most atMost, and says so in every way.
func requireKept(t *testing.T, l querierLog, last uint64, atLeast, atMost int) {
	t.Helper()
	settle(l)
	got := logtest.ReadAll(t, l, 0, 1000)
	require.GreaterOrEqual(t, len(got), atLeast)
	require.LessOrEqual(t, len(got), atMost)
	first := last - uint64(len(got)) + 1
	require.Equal(t, logtest.Sequence(first, last), logtest.IDs(got))
	require.Equal(t, last, l.Last())
	if first > 1 {
		require.Equal(t, first-1, l.Floor(nil))
	}
	checkStats(t, l, got)
	has, err := l.Has(ctx, first-1)
	require.NoError(t, err)
	require.False(t, has)
}

func TestRetentionByCount(t *testing.T) {
	bothLogs(t, func(t *testing.T, open openFunc) {
		l := open(persist.Retention{MaxCount: 80}, nil)
		for last := uint64(0); last < 1000; last += 100 {
			require.NoError(t, l.Append(ctx, logtest.Records(logtest.Sequence(last+1, last+100)...)))
			requireKept(t, l, last+100, 80, 90)
		}
		require.NoError(t, l.Close())
	})
}

func TestRetentionByBytes(t *testing.T) {
	bothLogs(t, func(t *testing.T, open openFunc) {
		l := open(persist.Retention{MaxCount: 1000}, nil)
		for id := uint64(101); id <= 180; id++ {
			require.NoError(t, l.Append(ctx, []persist.Record{{ID: id, Frame: logtest.Frame(id, 50)}}))
		}
		bound := l.LogStats().Bytes
		require.NoError(t, l.Close())
		l = open(persist.Retention{MaxBytes: bound}, nil)
		for id := uint64(1); id <= 500; id++ {
			require.NoError(t, l.Append(ctx, []persist.Record{{ID: id, Frame: logtest.Frame(id, 50)}}))
		}
		requireKept(t, l, 500, 80, 95)
		require.NoError(t, l.Close())
	})
}

func TestRetentionByAge(t *testing.T) {
	bothLogs(t, func(t *testing.T, open openFunc) {
		clock := logtest.NewClock()
		l := open(persist.Retention{MaxAge: time.Hour}, clock)
		for id := uint64(1); id <= 100; id++ {
			appendAt(t, l, clock.Now(), "", id)
			clock.Advance(time.Minute)
		}
		requireKept(t, l, 100, 60, 70)

		// Without a further append, everything goes in the end; Last stays.
		clock.Advance(2 * time.Hour)
		settle(l)
		require.Empty(t, logtest.ReadAll(t, l, 0, 10))
		require.Zero(t, l.First())
		require.Equal(t, uint64(100), l.Last())
		require.Equal(t, uint64(100), l.Floor(nil))
		require.ErrorIs(t, l.Append(ctx, logtest.Records(100)), persist.ErrOrder)
		appendAt(t, l, clock.Now(), "", 101)
		require.Equal(t, uint64(101), l.First())
		require.NoError(t, l.Close())
	})
}

// TestRetentionWakesByItself holds that the keeper of a log that nobody appends to
// removes what becomes too old.
func TestRetentionWakesByItself(t *testing.T) {
	clock := logtest.NewClock()
	l := openPebble(t, "log", pebblelog.WithFS(vfs.NewMem()), pebblelog.WithClock(clock),
		pebblelog.WithRetention(persist.Retention{MaxAge: time.Hour}))
	appendAt(t, l, clock.Now(), "", 1, 2, 3)
	require.Eventually(t, func() bool {
		clock.Advance(time.Minute)
		return l.LogStats().Count == 0
	}, 10*time.Second, time.Millisecond)
	require.NoError(t, l.Close())
}

// TestLastSurvivesEmptyLog holds invariant 1: IDs go on after the last one, also
// when retention has removed all records and the log was opened again.
func TestLastSurvivesEmptyLog(t *testing.T) {
	fs, clock := vfs.NewMem(), logtest.NewClock()
	opts := []pebblelog.Option{pebblelog.WithFS(fs), pebblelog.WithClock(clock),
		pebblelog.WithRetention(persist.Retention{MaxAge: time.Hour, Topics: map[string]persist.Retention{"t": {MaxAge: time.Minute}}})}
	l := openPebble(t, "log", opts...)
	appendAt(t, l, clock.Now(), "", 1)
	appendAt(t, l, clock.Now(), "t", 2, 3)
	clock.Advance(2 * time.Minute)
	settle(l)
	require.Equal(t, []uint64{1}, logtest.IDs(logtest.ReadAll(t, l, 0, 10)))
	l = reopen(t, l, opts)
	require.Equal(t, uint64(3), l.Last())
	clock.Advance(2 * time.Hour)
	settle(l)
	l = reopen(t, l, opts)
	require.Equal(t, uint64(3), l.Last())
	require.Equal(t, uint64(1), l.Floor(nil), "record 1 was the last that went with the whole log")
	require.Equal(t, uint64(3), l.Floor([]string{"t"}))
	require.Zero(t, l.First())
	require.NoError(t, l.Close())
}

func reopen(t *testing.T, l *pebblelog.Log, opts []pebblelog.Option) *pebblelog.Log {
	t.Helper()
	require.NoError(t, l.Close())
	return openPebble(t, "log", opts...)
}

// TestRetentionByTopic holds that bounds of a topic concern its records only,
// those with an audience included, and that its readers can tell from Floor.
func TestRetentionByTopic(t *testing.T) {
	bothLogs(t, func(t *testing.T, open openFunc) {
		l := open(persist.Retention{Topics: map[string]persist.Retention{
			"few":            {MaxCount: 8},
			persist.AnyTopic: {MaxCount: 80},
			"all":            {},
		}}, nil)
		id := uint64(0)
		for range 500 {
			for _, topic := range []string{"few", "some", "all", ""} {
				id++
				r := persist.Record{ID: id, Topic: topic, Frame: logtest.Frame(id, 1)}
				if id%3 == 0 {
					r.Users = []string{"u"}
				}
				require.NoError(t, l.Append(ctx, []persist.Record{r}))
			}
		}
		settle(l)
		all := logtest.ReadAll(t, l, 0, 1000)
		count := make(map[string]int)
		oldest := make(map[string]uint64)
		for _, r := range all {
			if count[r.Topic]++; count[r.Topic] == 1 {
				oldest[r.Topic] = r.ID
			}
		}
		require.Equal(t, 500, count["all"])
		require.Equal(t, 500, count[""])
		require.GreaterOrEqual(t, count["few"], 8)
		require.LessOrEqual(t, count["few"], 9)
		require.GreaterOrEqual(t, count["some"], 80)
		require.LessOrEqual(t, count["some"], 90)
		require.Zero(t, l.Floor(nil))
		require.Zero(t, l.Floor([]string{"all"}))
		require.Equal(t, oldest["few"]-4, l.Floor([]string{"all", "few"}))
		require.Equal(t, oldest["some"]-4, l.Floor([]string{"some"}))
		checkStats(t, l, all)

		for _, q := range []persist.Query{{Topics: []string{"few", "some"}}, {User: "u"}, {Public: true}} {
			m := twin{recs: all}
			require.Equal(t, m.query(q, 0), logtest.QueryAll(t, l, q, 0, 100))
		}
		require.NoError(t, l.Close())
	})
}

// TestRetentionByTopicAge holds that topics are looked through for old records also
// when nothing is appended to them.
func TestRetentionByTopicAge(t *testing.T) {
	bothLogs(t, func(t *testing.T, open openFunc) {
		clock := logtest.NewClock()
		l := open(persist.Retention{
			Topics: map[string]persist.Retention{"t": {MaxAge: time.Hour}, "b": {MaxBytes: int64(10 * len(logtest.Frame(1, 1)))}},
		}, clock)
		id := uint64(0)
		for range 100 {
			for _, topic := range []string{"t", "b", "x"} {
				id++
				appendAt(t, l, clock.Now(), topic, id)
			}
			clock.Advance(time.Minute)
		}
		count := func(topic string) int {
			settle(l)
			return len(logtest.QueryAll(t, l, persist.Query{Topics: []string{topic}}, 0, 1000))
		}
		require.Equal(t, 60, count("t"))
		require.LessOrEqual(t, count("b"), 12)
		require.Equal(t, 100, count("x"))
		clock.Advance(time.Hour)
		require.Equal(t, 0, count("t"))
		require.Equal(t, 100, count("x"))
		checkStats(t, l, logtest.ReadAll(t, l, 0, 1000))
		require.NoError(t, l.Close())
	})
}

// TestRetentionModel appends at random under all bounds at once, opens the log
// again with other bounds or changes them while it is in use, and requires each time
// that what is there, what the floors say, and what the numbers say agree.
func TestRetentionModel(t *testing.T) {
	rng := logtest.Seeded(t, "persist/pebblelog")
	policies := []persist.Retention{
		{},
		{MaxCount: 300},
		{MaxBytes: 20_000, Topics: map[string]persist.Retention{"t1": {MaxCount: 10}}},
		{MaxCount: 1000, Topics: map[string]persist.Retention{persist.AnyTopic: {MaxCount: 30}, "t2": {MaxBytes: 500}}},
		{Topics: map[string]persist.Retention{persist.AnyTopic: {MaxBytes: 2000}}},
		{Topics: map[string]persist.Retention{persist.AnyTopic: {MaxCount: 7}}},
		{Topics: map[string]persist.Retention{persist.AnyTopic: {MaxCount: 50}, "t2": {}}},
		{MaxCount: 500, Topics: map[string]persist.Retention{persist.AnyTopic: {MaxCount: 3}, "t2": {}}},
	}
	rounds, steps := 4, 12
	if testrace.On {
		rounds = 2
	}
	for range rounds {
		fs := vfs.NewMem()
		disk, memory := new(twin), new(twin)
		open := func(r persist.Retention) *pebblelog.Log {
			return openPebble(t, "log", pebblelog.WithFS(fs), pebblelog.WithSync(false), pebblelog.WithRetention(r))
		}
		l, m := open(persist.Retention{}), persist.NewMemory()
		for range steps {
			policy := policies[rng.IntN(len(policies))]
			require.NoError(t, m.SetRetention(policy))
			if rng.IntN(2) == 0 {
				require.NoError(t, l.Close())
				l = open(policy)
			} else {
				require.NoError(t, l.SetRetention(policy))
			}
			if rng.IntN(4) == 0 {
				requireAgreement(t, l, disk, policy)
				requireAgreement(t, m, memory, policy)
			}
			for range 1 + rng.IntN(20) {
				recs := logtest.RandomRecords(rng, 1+rng.IntN(40), disk.last())
				require.NoError(t, l.Append(ctx, recs))
				require.NoError(t, m.Append(ctx, recs))
				disk.recs, memory.recs = append(disk.recs, recs...), append(memory.recs, recs...)
			}
			requireAgreement(t, l, disk, policy)
			requireAgreement(t, m, memory, policy)
		}
		require.NoError(t, l.Close())
		require.NoError(t, m.Close())
	}
}

// requireAgreement requires that a log has all records of the twin above their
// floors, and within its bounds, and that its numbers are right.
func requireAgreement(t *testing.T, l querierLog, m *twin, r persist.Retention) {
	t.Helper()
	settle(l)
	got := logtest.ReadAll(t, l, 0, 1000)
	kept := twin{recs: got}
	missing := slices.DeleteFunc(slices.Clone(m.recs), func(rec persist.Record) bool {
		_, ok := slices.BinarySearchFunc(got, rec.ID, func(r persist.Record, id uint64) int { return int(int64(r.ID) - int64(id)) })
		return ok
	})
	for _, rec := range missing {
		require.LessOrEqual(t, rec.ID, l.Floor([]string{rec.Topic}), "record %d of topic %q is missing above the floor", rec.ID, rec.Topic)
	}
	count := make(map[string]int64)
	for _, rec := range got {
		require.Greater(t, rec.ID, l.Floor(nil))
		count[rec.Topic]++
	}
	if r.MaxCount > 0 {
		const largestChunk = 1000/8 + 40 // of the coarsest policy
		require.LessOrEqual(t, int64(len(got)), r.MaxCount+largestChunk)
	}
	for topic, n := range count {
		bound, ok := r.Topics[topic]
		if !ok {
			bound = r.Topics[persist.AnyTopic]
		}
		if topic != "" && bound.MaxCount > 0 {
			require.LessOrEqual(t, n, bound.MaxCount+bound.MaxCount/8)
		}
	}
	checkStats(t, l, got)
	for _, q := range []persist.Query{{Public: true}, {Topics: []string{"t1", "t2"}}, {User: "u1"}} {
		require.Equal(t, logtest.IDs(kept.query(q, 0)), append([]uint64{}, logtest.IDs(logtest.QueryAll(t, l, q, 0, 100))...), fmt.Sprint(q))
	}
}
