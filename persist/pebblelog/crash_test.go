package pebblelog_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/internal/testrace"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/logtest"
	"github.com/spatehub/spate/persist/pebblelog"
)

// TestPowerCut cuts the power at random moments while records are appended, with a
// random share of what was not synced on the disk. Invariant 6: each acknowledged
// record is there, in order, once, and what is there beyond these was begun. It
// then goes on with what the cut left, several times.
func TestPowerCut(t *testing.T) {
	rounds := 12
	if testrace.On {
		rounds = 4
	}
	for _, sync := range []bool{true, false} {
		t.Run(map[bool]string{true: "sync", false: "nosync"}[sync], func(t *testing.T) {
			rng := logtest.Seeded(t, "persist/pebblelog")
			for range rounds {
				fs, kept := vfs.NewCrashableMem(), []uint64{}
				for range 3 {
					fs, kept = cutPower(t, rng, fs, kept, sync)
				}
			}
		})
	}
}

// cutPower opens the log on fs, which must hold the records kept; appends for a
// while, and returns what a power cut leaves of fs, and of the records. The log
// keeps running until the clone is taken, as the machine would.
func cutPower(t *testing.T, rng *rand.Rand, fs *vfs.MemFS, kept []uint64, syncWrites bool) (*vfs.MemFS, []uint64) {
	l := openPebble(t, "a/log", pebblelog.WithFS(fs), pebblelog.WithSync(syncWrites))
	require.Equal(t, kept, logtest.IDs(logtest.ReadAll(t, l, 0, 100)))

	var all []uint64
	var batches [][]persist.Record
	last := l.Last()
	for range 50 {
		recs := logtest.RandomRecords(rng, 1+rng.IntN(20), last)
		if rng.IntN(5) == 0 {
			recs[0].Frame = logtest.Frame(recs[0].ID, 100_000) // for more files
		}
		last = recs[len(recs)-1].ID
		batches = append(batches, recs)
		all = append(all, logtest.IDs(recs)...)
	}
	all = append(slices.Clone(kept), all...)

	// appendAll runs on its own, so that the cut comes at any moment.
	var acked atomic.Uint64
	acked.Store(l.Last())
	moment := make(chan struct{})
	cutAt := rng.IntN(len(batches))
	var wg sync.WaitGroup
	wg.Go(func() { pipeline(t, l, batches, cutAt, moment, &acked) })
	<-moment
	sure := acked.Load()
	clone := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
	wg.Wait()
	require.NoError(t, l.Close())

	l = openPebble(t, "a/log", pebblelog.WithFS(clone), pebblelog.WithSync(syncWrites))
	defer func() { require.NoError(t, l.Close()) }()
	got := logtest.IDs(logtest.ReadAll(t, l, 0, 100))
	require.LessOrEqual(t, len(got), len(all))
	require.Equal(t, all[:len(got)], got, "what is there must be the beginning of what was appended")
	if syncWrites {
		n, found := slices.BinarySearch(all, sure)
		if found {
			n++
		}
		require.GreaterOrEqual(t, len(got), n, "records up to %d were acknowledged", sure)
	}
	if len(got) > 0 {
		require.Equal(t, got[len(got)-1], l.Last())
	}
	return clone, got
}

// pipeline appends batches, up to three at a time, and closes moment when it comes
// to batch cutAt.
func pipeline(t *testing.T, l *pebblelog.Log, batches [][]persist.Record, cutAt int, moment chan struct{}, acked *atomic.Uint64) {
	type pending struct {
		wait func() error
		last uint64
	}
	queue := make(chan pending, 3)
	var wg sync.WaitGroup
	wg.Go(func() {
		for p := range queue {
			if err := p.wait(); err != nil {
				t.Errorf("append of %d: %v", p.last, err)
				return
			}
			acked.Store(p.last)
		}
	})
	for i, recs := range batches {
		if i == cutAt {
			close(moment)
		}
		wait, err := l.Begin(recs)
		if err != nil {
			t.Errorf("begin: %v", err)
			break
		}
		queue <- pending{wait, recs[len(recs)-1].ID}
	}
	close(queue)
	wg.Wait()
}

// TestPowerCutAfterReclaim cuts the power after the space of what retention removed
// was given back. Invariant 3: however little of what was not synced is on the disk,
// no record above the floor is missing.
func TestPowerCutAfterReclaim(t *testing.T) {
	rng := logtest.Seeded(t, "persist/pebblelog")
	rounds := 4
	if testrace.On {
		rounds = 1
	}
	for range rounds {
		clock, fs := logtest.NewClock(), vfs.NewCrashableMem()
		l := openPebble(t, "log", pebblelog.WithFS(fs), pebblelog.WithSync(false), pebblelog.WithClock(clock), pebblelog.WithMemTable(1<<20),
			pebblelog.WithFlushDelay(time.Hour), pebblelog.WithRetention(persist.Retention{MaxCount: 50}))
		id := uint64(1)
		for range 3 {
			for range 150 {
				require.NoError(t, l.Append(ctx, []persist.Record{{ID: id, Topic: "t", Time: 1, Frame: randomFrame(id, 64<<10)}}))
				id++
			}
			l.Settle()
			// What is still on its way to the disk is not found there.
			require.Eventually(t, l.Quiet, 30*time.Second, time.Millisecond)
			clock.Advance(time.Minute)
			l.Settle()
		}
		require.Eventually(t, func() bool {
			if l.LogStats().DiskBytes < 15<<20 {
				return true
			}
			clock.Advance(time.Minute) // what a flush still held is given back the next time
			l.Settle()
			return false
		}, 30*time.Second, time.Millisecond,
			"of %d bytes nothing was given back", id<<16)
		clone := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 10 * rng.IntN(2), RNG: rng})
		last := l.Last()
		require.NoError(t, l.Close())

		l = openPebble(t, "log", pebblelog.WithFS(clone), pebblelog.WithSync(false))
		require.LessOrEqual(t, l.Last(), last)
		require.Equal(t, logtest.Sequence(l.Floor(nil)+1, l.Last()), logtest.IDs(logtest.ReadAll(t, l, l.Floor(nil), 100)))
		require.NoError(t, l.Close())
	}
}

// TestWithoutSyncTheDiskFollowsSoon holds that what was appended without sync is on
// the disk soon, also when nothing follows.
func TestWithoutSyncTheDiskFollowsSoon(t *testing.T) {
	clock, fs := logtest.NewClock(), vfs.NewCrashableMem()
	l := openPebble(t, "log", pebblelog.WithFS(fs), pebblelog.WithSync(false), pebblelog.WithClock(clock))
	for id := uint64(1); id <= 3; id++ {
		require.NoError(t, l.Append(ctx, logtest.Records(id)))
		require.Eventually(t, func() bool {
			clock.Advance(100 * time.Millisecond)
			clone := fs.CrashClone(vfs.CrashCloneCfg{})
			after := openPebble(t, "log", pebblelog.WithFS(clone))
			defer func() { require.NoError(t, after.Close()) }()
			return slices.Equal(logtest.Sequence(1, id), logtest.IDs(logtest.ReadAll(t, after, 0, 100)))
		}, 30*time.Second, time.Millisecond)
	}
	require.NoError(t, l.Close())
}
