package pebblelog_test

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/internal/testrace"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/logtest"
	"github.com/spatehub/spate/persist/pebblelog"
)

// TestAfter holds that reading on from where a time begins gives all that was appended
// since, and nothing older where the clock was right.
func TestAfter(t *testing.T) {
	testrace.Pointless(t)
	bothLogs(t, func(t *testing.T, open openFunc) {
		rng := logtest.Seeded(t, "persist/pebblelog")
		clock := logtest.NewClock()
		l := open(persist.Retention{MaxCount: 3000}, clock)
		after := func(at time.Time) uint64 {
			id, err := l.(persist.Dated).After(ctx, at)
			require.NoError(t, err)
			return id
		}
		require.Zero(t, after(clock.Now()))
		var recs []persist.Record
		check := func(at time.Time) {
			t.Helper()
			want := []uint64{}
			for _, r := range recs {
				if r.Time >= at.UnixMilli() && r.ID >= l.First() {
					want = append(want, r.ID)
				}
			}
			require.Equal(t, want, logtest.IDs(logtest.ReadAll(t, l, after(at), 1000)), "since %v", at)
		}
		id := uint64(1)
		for len(recs) < 10_000 {
			clock.Advance(time.Duration(rng.IntN(50)) * time.Millisecond)
			batch := make([]persist.Record, 1+rng.IntN(20))
			for i := range batch {
				id += 1 + rng.Uint64N(3)
				batch[i] = persist.Record{ID: id, Time: clock.Now().UnixMilli(), Frame: logtest.Frame(id, 1)}
			}
			require.NoError(t, l.Append(ctx, batch))
			recs = append(recs, batch...)
		}
		settle(l)
		require.Greater(t, l.Floor(nil), uint64(0))
		for range 200 {
			check(time.UnixMilli(recs[rng.IntN(len(recs))].Time + rng.Int64N(3) - 1))
		}
		check(clock.Now())
		require.Equal(t, l.Last(), after(clock.Now().Add(time.Second)))

		require.Zero(t, after(time.UnixMilli(0)), "more was there, and it may have been of then")
		first := logtest.ReadAll(t, l, 0, 1000)[0]
		require.Contains(t, []uint64{0, l.Floor(nil)}, after(time.UnixMilli(first.Time)))
		require.NoError(t, l.Close())
		_, err := l.(persist.Dated).After(ctx, clock.Now())
		require.ErrorIs(t, err, persist.ErrClosed)
	})
}

// TestAfterTheFloor holds that who asks for a time since which nothing was removed
// does not begin before the floor, and has no gap.
func TestAfterTheFloor(t *testing.T) {
	bothLogs(t, func(t *testing.T, open openFunc) {
		clock := logtest.NewClock()
		l := open(persist.Retention{MaxAge: time.Hour}, clock)
		appendAt(t, l, clock.Now(), "", 1, 2, 3)
		clock.Advance(2 * time.Hour)
		settle(l)
		since := clock.Now().Add(-30 * time.Minute)
		appendAt(t, l, clock.Now(), "", 10)
		settle(l)
		require.Equal(t, uint64(3), l.Floor(nil))
		id, err := l.(persist.Dated).After(ctx, since)
		require.NoError(t, err)
		require.Equal(t, uint64(3), id)
		require.NoError(t, l.Close())
	})
}

// TestAfterIsBounded holds that it does not take longer in a long log.
func TestAfterIsBounded(t *testing.T) {
	l := openPebble(t, "log", pebblelog.WithFS(vfs.NewMem()), pebblelog.WithSync(false))
	id := uint64(1)
	for range 100 {
		recs := make([]persist.Record, 1000)
		for i := range recs {
			recs[i] = persist.Record{ID: id, Time: int64(id), Frame: logtest.Frame(id, 1)}
			id++
		}
		require.NoError(t, l.Append(ctx, recs))
	}
	require.LessOrEqual(t, l.ChunkRecords(), 4096)
	got, err := l.After(ctx, time.UnixMilli(50_000))
	require.NoError(t, err)
	require.Equal(t, uint64(49_999), got)
	require.NoError(t, l.Close())
}

// TestClockAhead holds that records from the future, which a clock that was wrong for a
// while has left, do not stop retention by age: of the log, or of a topic.
func TestClockAhead(t *testing.T) {
	const day = 24 * time.Hour
	for name, r := range map[string]persist.Retention{
		"log":   {MaxAge: time.Hour},
		"topic": {Topics: map[string]persist.Retention{"t": {MaxAge: time.Hour}}},
	} {
		t.Run(name, func(t *testing.T) {
			bothLogs(t, func(t *testing.T, open openFunc) {
				clock := logtest.NewClock()
				l := open(r, clock)
				id := uint64(1)
				for minute := range 120 {
					at := clock.Now()
					if minute == 10 || minute == 119 {
						at = at.Add(10 * day)
					}
					appendAt(t, l, at, "t", id)
					id++
					clock.Advance(time.Minute)
					settle(l)
				}
				first := l.First()
				require.GreaterOrEqual(t, first, uint64(45))
				require.LessOrEqual(t, first, uint64(62), "an hour is kept")
				clock.Advance(70 * time.Minute)
				settle(l)
				require.Zero(t, l.First(), "all is older than an hour")
				require.NoError(t, l.Close())
			})
		})
	}
}

// TestClockAheadBeforeAStart is the same for a log that was opened anew meanwhile: such
// records are as old as those behind them.
func TestClockAheadBeforeAStart(t *testing.T) {
	const day = 24 * time.Hour
	clock := logtest.NewClock()
	opts := []pebblelog.Option{pebblelog.WithFS(vfs.NewMem()), pebblelog.WithClock(clock),
		pebblelog.WithRetention(persist.Retention{MaxAge: time.Hour})}
	l := openPebble(t, "log", opts...)
	appendAt(t, l, clock.Now(), "", 1)
	appendAt(t, l, clock.Now().Add(10*day), "", 2)
	clock.Advance(10 * time.Minute)
	appendAt(t, l, clock.Now(), "", 3)
	appendAt(t, l, clock.Now().Add(15*time.Minute), "", 4) // closes the chunk
	clock.Advance(55 * time.Minute)
	l = reopen(t, l, opts)
	l.Settle()
	require.NotZero(t, l.First())
	clock.Advance(30 * time.Minute)
	l.Settle()
	require.Zero(t, l.First())
	require.NoError(t, l.Close())
}

// TestClockBehind holds that a clock which is behind for a while costs nothing that is
// not too old: neither what was appended before, nor what was meanwhile.
func TestClockBehind(t *testing.T) {
	bothLogs(t, func(t *testing.T, open openFunc) {
		clock := logtest.NewClock()
		clock.Advance(24 * time.Hour)
		l := open(persist.Retention{MaxAge: time.Hour}, clock)
		appendAt(t, l, clock.Now(), "", 1, 2, 3)
		settle(l)
		clock.Advance(-10 * time.Hour)
		appendAt(t, l, clock.Now(), "", 4, 5, 6)
		settle(l)
		clock.Advance(10 * time.Hour)
		appendAt(t, l, clock.Now(), "", 7, 8, 9)
		settle(l)
		require.Equal(t, uint64(1), l.First())
		require.NoError(t, l.Close())
	})
}
