package pebblelog_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/logtest"
	"github.com/spatehub/spate/persist/pebblelog"
)

// openKept opens a log in which "many" has a record of each of so many batches, and each
// of a hundred other topics three.
func openKept(t *testing.T, many int, opts ...pebblelog.Option) *pebblelog.Log {
	l := openPebble(t, "log", append(opts, pebblelog.WithFS(vfs.NewMem()), pebblelog.WithSync(false))...)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	for i := range many {
		id := uint64(1 + 3*i)
		recs := logtest.Records(logtest.Sequence(id, id+2)...)
		recs[0].Topic, recs[1].Topic, recs[2].Topic = "many", "", ""
		if i < 300 {
			recs[1].Topic = fmt.Sprint("few-", i%100)
		}
		require.NoError(t, l.Append(ctx, recs))
	}
	return l
}

// TestKeptIsBounded holds that counting ends with its budget, and says so; that topics
// share it; and that what one does not need is for those behind it.
func TestKeptIsBounded(t *testing.T) {
	const budget, part = 2000, 512 // what is read of the index in one go
	l := openKept(t, 5000, pebblelog.WithKeptBudget(budget))
	kept := func(topics ...string) []persist.Kept {
		k, err := l.Kept(ctx, topics)
		require.NoError(t, err)
		for i, one := range k {
			if topics[i] == "many" {
				require.True(t, one.More)
				require.EqualValues(t, 1, one.First)
			} else {
				require.False(t, one.More)
				require.Equal(t, 3, one.Records, topics[i])
			}
		}
		return k
	}
	alone := kept("many")[0].Records
	require.Greater(t, alone, budget-part)
	require.Less(t, alone, budget+part)

	first := kept("many", "few-1", "few-2", "few-3")[0].Records
	require.Greater(t, first, 100)
	require.Less(t, first, budget/4+part, "its part")
	last := kept("few-1", "few-2", "few-3", "many")[3].Records
	require.Greater(t, last, budget-3*budget/10-part, "what the others left")

	var all []string
	for i := range 100 {
		all = append(all, fmt.Sprint("few-", i))
	}
	kept(append(all, "many")...) // two seeks for each, whatever the budget
}

// fading ends when it has been asked a number of times whether it has.
type fading struct {
	context.Context
	asked, most int
}

func (f *fading) Err() error {
	if f.asked++; f.asked > f.most {
		return context.Canceled
	}
	return nil
}

// TestKeptCanBeInterrupted holds that a context which ends while one topic is counted ends
// the counting: a log that has failed waits for it.
func TestKeptCanBeInterrupted(t *testing.T) {
	l := openKept(t, 10_000)
	few := &fading{Context: ctx, most: 100}
	_, err := l.Kept(few, []string{"few-1"})
	require.NoError(t, err)
	for most := range few.asked + 1 { // the last one ends after the first look of counting
		_, err = l.Kept(&fading{Context: ctx, most: most}, []string{"many"})
		require.ErrorIs(t, err, context.Canceled, "after %d", most)
	}
	k, err := l.Kept(&fading{Context: ctx, most: 100}, []string{"many"})
	require.NoError(t, err)
	require.Equal(t, 10_000, k[0].Records)
}
