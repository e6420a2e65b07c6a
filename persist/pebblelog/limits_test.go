package pebblelog_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/internal/testrace"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/logtest"
	"github.com/spatehub/spate/persist/pebblelog"
)

// TestAllocations holds that reading costs a few allocations a page, not some a
// record, and that appending costs a few a batch.
func TestAllocations(t *testing.T) {
	if testrace.On {
		t.Skip("the race detector allocates")
	}
	const n = 1000
	recs := logtest.Records(logtest.Sequence(1, n)...)
	for i := range recs {
		recs[i].Topic, recs[i].Key = "topic", "key"
		if i%2 == 0 {
			recs[i].Users = []string{"u1", "u2"}
		}
	}
	for name, l := range map[string]querierLog{
		"Memory": persist.NewMemory(persist.WithRetention(persist.Retention{})),
		"Pebble": openPebble(t, "log", pebblelog.WithFS(vfs.NewMem()), pebblelog.WithSync(false)),
	} {
		require.NoError(t, l.Append(ctx, recs))
		for what, limit := range map[string]struct {
			allocs float64
			read   func() (persist.Page, error)
		}{
			"read": {60, func() (persist.Page, error) { return l.Read(ctx, 0, persist.Limit{}) }},
			"topic": {90, func() (persist.Page, error) {
				return l.Query(ctx, persist.Query{Topics: []string{"topic"}}, 0, persist.Limit{})
			}},
			"user": {90, func() (persist.Page, error) { return l.Query(ctx, persist.Query{User: "u1"}, 0, persist.Limit{}) }},
		} {
			p, err := limit.read()
			require.NoError(t, err)
			require.GreaterOrEqual(t, len(p.Records), n/2)
			got := testing.AllocsPerRun(10, func() { _, _ = limit.read() })
			require.LessOrEqual(t, got, limit.allocs, "%s: %s", name, what)
		}
		require.NoError(t, l.Close())
	}

	l := openPebble(t, "log", pebblelog.WithFS(vfs.NewMem()), pebblelog.WithSync(false))
	batch := logtest.Records(logtest.Sequence(1, 100)...)
	next := uint64(0)
	got := testing.AllocsPerRun(50, func() {
		for i := range batch {
			next++
			batch[i].ID = next
		}
		if err := l.Append(ctx, batch); err != nil {
			t.Error(err)
		}
	})
	require.LessOrEqual(t, got, 10.0, "append of a batch")
	require.NoError(t, l.Close())
}

// TestLargeBatch appends batches that do not fit a memtable, which Pebble treats
// differently.
func TestLargeBatch(t *testing.T) {
	testrace.Pointless(t)
	fs := vfs.NewMem()
	l := openPebble(t, "log", pebblelog.WithFS(fs), pebblelog.WithMemTable(1<<20))
	var want []uint64
	for batch := range uint64(3) {
		var recs []persist.Record
		for i := range uint64(50) {
			id := 1 + batch*50 + i
			recs = append(recs, persist.Record{ID: id, Topic: "t", Frame: logtest.Frame(id, 60_000)})
		}
		require.NoError(t, l.Append(ctx, recs))
		want = append(want, logtest.IDs(recs)...)
		require.Equal(t, want, logtest.IDs(logtest.QueryAll(t, l, persist.Query{Topics: []string{"t"}}, 0, 100)))
	}
	require.NoError(t, l.Close())
	l = openPebble(t, "log", pebblelog.WithFS(fs))
	require.Equal(t, want, logtest.IDs(logtest.ReadAll(t, l, 0, 100)))
	require.NoError(t, l.Close())
}

// TestQueryIsBounded holds that a query of streams without records goes through a
// long log in steps, each of which gets further.
func TestQueryIsBounded(t *testing.T) {
	const segment = 1 << 18
	l := openPebble(t, "log", pebblelog.WithFS(vfs.NewMem()), pebblelog.WithSync(false))
	// Every segment holds something between the streams that are asked for, so
	// that each costs a seek.
	n := uint64(1500)
	if testrace.On {
		n = 600
	}
	var recs []persist.Record
	for s := range n {
		id := 1 + s*segment
		recs = append(recs, persist.Record{ID: id, Topic: "m", Frame: logtest.Frame(id, 1)})
	}
	recs = append(recs, persist.Record{ID: n * segment, Topic: "a", Frame: logtest.Frame(n*segment, 1)})
	require.NoError(t, l.Append(ctx, recs))
	q := persist.Query{Public: true, Topics: []string{"a", "z"}, User: "u"}
	steps, after := 0, uint64(0)
	var got []uint64
	for {
		p, err := l.Query(ctx, q, after, persist.Limit{})
		require.NoError(t, err)
		if p.UpTo == after {
			break
		}
		require.Greater(t, p.UpTo, after)
		got = append(got, logtest.IDs(p.Records)...)
		after = p.UpTo
		steps++
	}
	require.Greater(t, steps, 1)
	require.Equal(t, []uint64{n * segment}, got)
	require.NoError(t, l.Close())
}

// TestRefused holds that what could not be found again is refused as a whole.
func TestRefused(t *testing.T) {
	bothLogs(t, func(t *testing.T, open openFunc) {
		l := open(persist.Retention{}, nil)
		for _, bad := range []persist.Record{
			{ID: 2, Users: []string{}},
			{ID: 2, Users: []string{""}},
			{ID: 2, Users: []string{"a\x00b"}},
			{ID: 2, Topic: "a\x00b"},
			{ID: 1<<64 - 1},
			{ID: persist.MaxID + 1},
		} {
			require.ErrorIs(t, l.Append(ctx, []persist.Record{{ID: 1}, bad}), persist.ErrRecord, "%+v", bad)
		}
		require.Zero(t, l.Last())
		require.NoError(t, l.Append(ctx, logtest.Records(1)))
		require.NoError(t, l.Close())
	})
}
