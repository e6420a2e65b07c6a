package pebblelog_test

import (
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/logtest"
	"github.com/spatehub/spate/persist/pebblelog"
)

func requireIssued(t *testing.T, l persist.Runs, want bool, ids ...uint64) {
	t.Helper()
	for _, id := range ids {
		got, err := l.Issued(ctx, id)
		require.NoError(t, err)
		require.Equal(t, want, got, "ID %d", id)
	}
}

// TestRunsAreDurable holds that runs survive a power cut, with and without sync, from
// the moment that BeginRun returns.
func TestRunsAreDurable(t *testing.T) {
	for _, sync := range []bool{true, false} {
		fs := vfs.NewCrashableMem()
		opts := []pebblelog.Option{pebblelog.WithSync(sync)}
		l := openPebble(t, "log", append(opts, pebblelog.WithFS(fs))...)
		require.NoError(t, l.BeginRun(100))
		require.NoError(t, l.Append(ctx, logtest.Records(100, 110)))
		require.NoError(t, l.BeginRun(200))
		require.NoError(t, l.Append(ctx, logtest.Records(210)))
		require.NoError(t, l.BeginRun(300)) // durable with all before it
		cut := fs.CrashClone(vfs.CrashCloneCfg{})
		require.NoError(t, l.Close())

		l = openPebble(t, "log", append(opts, pebblelog.WithFS(cut))...)
		requireIssued(t, l, true, 100, 105, 110, 200, 210)
		requireIssued(t, l, false, 99, 111, 199, 211, 300)
		require.NoError(t, l.BeginRun(400))
		require.NoError(t, l.Append(ctx, logtest.Records(401)))
		requireIssued(t, l, true, 210, 400, 401)
		requireIssued(t, l, false, 300, 399)
		require.NoError(t, l.Close())
	}
}

// TestRestoredCopyKnowsItsOwnRunsOnly is invariant 1 for a folder that was copied and
// put back later: what was issued in between lies in no run, though the IDs of the
// next start are above it.
func TestRestoredCopyKnowsItsOwnRunsOnly(t *testing.T) {
	fs := vfs.NewMem()
	l := openPebble(t, "log", pebblelog.WithFS(fs))
	require.NoError(t, l.BeginRun(100))
	require.NoError(t, l.Append(ctx, logtest.Records(100, 101)))
	require.NoError(t, l.Close())
	_, err := vfs.Clone(fs, fs, "log", "copy")
	require.NoError(t, err)

	l = openPebble(t, "log", pebblelog.WithFS(fs))
	require.NoError(t, l.BeginRun(200))
	require.NoError(t, l.Append(ctx, logtest.Records(200, 201)))
	require.NoError(t, l.Close())

	l = openPebble(t, "copy", pebblelog.WithFS(fs))
	require.NoError(t, l.BeginRun(300))
	require.NoError(t, l.Append(ctx, logtest.Records(300, 301, 302)))
	requireIssued(t, l, true, 100, 101, 300, 302)
	requireIssued(t, l, false, 200, 201, 202)
	require.NoError(t, l.Close())
}

// TestRunsAreBoundedByRetention holds that passed runs go, on disk too, but for the one
// that ends at the floor.
func TestRunsAreBoundedByRetention(t *testing.T) {
	fs := vfs.NewMem()
	opts := []pebblelog.Option{pebblelog.WithFS(fs), pebblelog.WithRetention(persist.Retention{MaxCount: 16})}
	l := openPebble(t, "log", opts...)
	for n := uint64(1); n <= 200; n++ {
		require.NoError(t, l.BeginRun(n*100))
		require.NoError(t, l.Append(ctx, logtest.Records(n*100+1)))
	}
	l.Settle()
	l = reopen(t, l, opts)
	floor := l.Floor(nil)
	require.Greater(t, floor, uint64(100*180))
	require.LessOrEqual(t, l.CountRuns(), 20)
	requireIssued(t, l, true, floor-1, floor, 200*100, 200*100+1)
	requireIssued(t, l, false, floor-101, floor+1)
	require.NoError(t, l.Close())
}

// TestRunsSurviveHealing holds that the log knows its runs after its disk has failed,
// and refuses IDs below the open one.
func TestRunsSurviveHealing(t *testing.T) {
	inj := failing(syscall.EIO, errorfs.OpFileSync, errorfs.OpFileSyncData)
	clock := logtest.NewClock()
	l := openPebble(t, "log", pebblelog.WithFS(errorfs.Wrap(vfs.NewMem(), inj)), pebblelog.WithClock(clock))
	require.NoError(t, l.BeginRun(100))
	require.NoError(t, l.Append(ctx, logtest.Records(100)))
	require.NoError(t, l.BeginRun(200))
	inj.On()
	require.ErrorIs(t, l.Append(ctx, logtest.Records(200)), persist.ErrFailed)
	require.ErrorIs(t, l.BeginRun(300), persist.ErrFailed)
	inj.Off()
	clock.Advance(maxPause)
	require.NoError(t, l.BeginRun(400))
	require.ErrorIs(t, l.Append(ctx, logtest.Records(399)), persist.ErrOrder)
	require.NoError(t, l.Append(ctx, logtest.Records(400)))
	requireIssued(t, l, true, 100, 400)
	requireIssued(t, l, false, 200, 300)
	require.NoError(t, l.Close())
}
