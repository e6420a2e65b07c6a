package pebblelog_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/internal/testrace"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/logtest"
	"github.com/spatehub/spate/persist/pebblelog"
)

// querierLog is what Memory and Pebble both are.
type querierLog interface {
	persist.Log
	persist.Querier
	persist.Stats
}

// twin is a log so simple that it is obviously right.
type twin struct{ recs []persist.Record }

func (m *twin) last() uint64 {
	if len(m.recs) == 0 {
		return 0
	}
	return m.recs[len(m.recs)-1].ID
}

func (m *twin) query(q persist.Query, after uint64) []persist.Record {
	var out []persist.Record
	for _, r := range m.recs {
		if r.ID > after && logtest.Selects(q, r) {
			out = append(out, r)
		}
	}
	return out
}

// TestModel compares logs with the twin over random operations.
func TestModel(t *testing.T) {
	rng := logtest.Seeded(t, "persist/pebblelog")
	steps := 400
	if testrace.On {
		steps = 120
	}
	for range 3 {
		fs := vfs.NewMem()
		reopen := func() querierLog { return openPebble(t, "log", pebblelog.WithFS(fs), pebblelog.WithSync(false)) }
		runModel(t, rng, steps, reopen(), reopen)
		runModel(t, rng, steps, persist.NewMemory(), nil)
	}
}

func runModel(t *testing.T, rng *rand.Rand, steps int, l querierLog, reopen func() querierLog) {
	var m twin
	for range steps {
		switch op := rng.IntN(20); {
		case op < 8:
			recs := logtest.RandomRecords(rng, rng.IntN(30), m.last())
			require.NoError(t, l.Append(ctx, recs))
			m.recs = append(m.recs, recs...)
		case op < 11:
			after := somewhere(rng, &m)
			require.Equal(t, m.query(persist.Query{}, after), logtest.ReadAll(t, l, after, 1+rng.IntN(50)))
		case op < 17:
			after, q := somewhere(rng, &m), logtest.RandomQuery(rng)
			require.Equal(t, m.query(q, after), logtest.QueryAll(t, l, q, after, 1+rng.IntN(50)), "%+v after %d", q, after)
		case op < 18:
			id := somewhere(rng, &m)
			got, err := l.Has(ctx, id)
			require.NoError(t, err)
			require.Equal(t, slices.ContainsFunc(m.recs, func(r persist.Record) bool { return r.ID == id }), got)
		case op < 19 && reopen != nil:
			require.NoError(t, l.Close())
			l = reopen()
		default:
			checkStats(t, l, m.recs)
		}
	}
	require.NoError(t, l.Close())
}

// somewhere returns an ID of a record, or one near it.
func somewhere(rng *rand.Rand, m *twin) uint64 {
	if len(m.recs) == 0 || rng.IntN(10) == 0 {
		return rng.Uint64N(m.last() + 10)
	}
	return m.recs[rng.IntN(len(m.recs))].ID - rng.Uint64N(2)
}

// checkStats requires that a log's numbers are those of the records it has.
func checkStats(t *testing.T, l querierLog, recs []persist.Record) {
	t.Helper()
	var first, bytes int64
	for i, r := range recs {
		if i == 0 {
			first = int64(r.ID)
		}
		bytes += int64(len(r.Frame) + len(r.Topic) + len(r.Key))
		for _, u := range r.Users {
			bytes += int64(len(u))
		}
	}
	s := l.LogStats()
	require.NoError(t, s.Err)
	require.Equal(t, uint64(first), s.First)
	require.Equal(t, uint64(first), l.First())
	require.Equal(t, int64(len(recs)), s.Count)
	if _, memory := l.(*persist.Memory); memory {
		require.GreaterOrEqual(t, s.Bytes, bytes, "it counts all that it holds")
		return
	}
	require.Equal(t, bytes, s.Bytes)
}
