package persist_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist"
)

// TestAllocations holds that reading costs a few allocations a page, not some a
// record, and that appending costs a few a batch.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const n = 1000
	recs := recordsOf(sequence(1, n)...)
	for i := range recs {
		recs[i].Topic, recs[i].Key = "topic", "key"
		if i%2 == 0 {
			recs[i].Users = []string{"u1", "u2"}
		}
	}
	for name, l := range map[string]querierLog{
		"Memory": persist.NewMemory(persist.WithRetention(persist.Retention{})),
		"Pebble": openPebble(t, "log", persist.WithFS(vfs.NewMem()), persist.WithSync(false)),
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

	l := openPebble(t, "log", persist.WithFS(vfs.NewMem()), persist.WithSync(false))
	batch := recordsOf(sequence(1, 100)...)
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
	fs := vfs.NewMem()
	l := openPebble(t, "log", persist.WithFS(fs), persist.WithMemTable(1<<20))
	var want []uint64
	for batch := range uint64(3) {
		var recs []persist.Record
		for i := range uint64(50) {
			id := 1 + batch*50 + i
			recs = append(recs, persist.Record{ID: id, Topic: "t", Frame: frameOf(id, 60_000)})
		}
		require.NoError(t, l.Append(ctx, recs))
		want = append(want, idsOf(recs)...)
		require.Equal(t, want, idsOf(queryAll(t, l, persist.Query{Topics: []string{"t"}}, 0, 100)))
	}
	require.NoError(t, l.Close())
	l = openPebble(t, "log", persist.WithFS(fs))
	require.Equal(t, want, idsOf(readAll(t, l, 0, 100)))
	require.NoError(t, l.Close())
}

// TestQueryIsBounded holds that a query of streams without records goes through a
// long log in steps, each of which gets further.
func TestQueryIsBounded(t *testing.T) {
	const segment = 1 << 18
	l := openPebble(t, "log", persist.WithFS(vfs.NewMem()), persist.WithSync(false))
	// Every segment holds something between the streams that are asked for, so
	// that each costs a seek.
	n := uint64(1500)
	if raceEnabled {
		n = 600
	}
	var recs []persist.Record
	for s := range n {
		id := 1 + s*segment
		recs = append(recs, persist.Record{ID: id, Topic: "m", Frame: frameOf(id, 1)})
	}
	recs = append(recs, persist.Record{ID: n * segment, Topic: "a", Frame: frameOf(n*segment, 1)})
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
		got = append(got, idsOf(p.Records)...)
		after = p.UpTo
		steps++
	}
	require.Greater(t, steps, 1)
	require.Equal(t, []uint64{n * segment}, got)
	require.NoError(t, l.Close())
}

// TestRefused holds that what could not be found again is refused as a whole.
func TestRefused(t *testing.T) {
	bothLogs(t, func(t *testing.T, open func(...persist.Option) querierLog) {
		l := open()
		for _, bad := range []persist.Record{
			{ID: 2, Users: []string{}},
			{ID: 2, Users: []string{""}},
			{ID: 2, Users: []string{"a\x00b"}},
			{ID: 2, Topic: "a\x00b"},
			{ID: 1<<64 - 1},
		} {
			require.ErrorIs(t, l.Append(ctx, []persist.Record{{ID: 1}, bad}), persist.ErrRecord, "%+v", bad)
		}
		require.Zero(t, l.Last())
		require.NoError(t, l.Append(ctx, recordsOf(1)))
		require.NoError(t, l.Close())
	})
}

// TestFor holds invariant 4 for the filter that live delivery and resend share.
func TestFor(t *testing.T) {
	topics := func(want string) func(string) bool { return func(t string) bool { return t == want } }
	for _, c := range []struct {
		rec   persist.Record
		uid   string
		topic func(string) bool
		want  bool
	}{
		{persist.Record{}, "", nil, true},
		{persist.Record{}, "u", topics("t"), true},
		{persist.Record{Topic: "t"}, "u", nil, false},
		{persist.Record{Topic: "t"}, "u", topics("t"), true},
		{persist.Record{Topic: "t"}, "u", topics("x"), false},
		{persist.Record{Users: []string{"u"}}, "u", nil, true},
		{persist.Record{Users: []string{"u"}}, "", nil, false},
		{persist.Record{Users: []string{"u"}}, "U", nil, false},
		{persist.Record{Users: []string{"a", "u"}, Topic: "t"}, "u", topics("t"), true},
		{persist.Record{Users: []string{"a", "u"}, Topic: "t"}, "u", topics("x"), false},
		{persist.Record{Users: []string{}}, "u", nil, false},
	} {
		require.Equal(t, c.want, c.rec.For(c.uid, c.topic), "%+v for %q", c.rec, c.uid)
	}
}
