package pebblelog_test

import (
	"io"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/logtest"
	"github.com/spatehub/spate/persist/pebblelog"
)

// denying is a disk that, once it is full, takes what a write-ahead log appends and fails
// to say so; it gives nothing new room, and lets files of a fixed size be written over.
type denying struct {
	full atomic.Bool
}

// MaybeError implements [errorfs.Injector].
func (d *denying) MaybeError(op errorfs.Op) error {
	switch {
	case !d.full.Load(), strings.HasSuffix(op.Path, "acknowledged"), op.Kind.ReadOrWrite() == errorfs.OpIsRead,
		op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".log"):
		return nil
	}
	return syscall.ENOSPC
}

// String implements [errorfs.Injector].
func (d *denying) String() string { return "denying" }

// refusing returns a folder of a log with 100 acknowledged records, which has refused some
// more and could not delete them, and what kill -9 left of it before it was closed.
func refusing(t *testing.T, opts ...pebblelog.Option) (closed, killed *vfs.MemFS) {
	t.Helper()
	fs, disk := vfs.NewCrashableMem(), &denying{}
	l := openPebble(t, "log", append(opts, pebblelog.WithFS(errorfs.Wrap(fs, disk)))...)
	require.NoError(t, l.BeginRun(1))
	require.NoError(t, l.Append(ctx, logtest.Records(logtest.Sequence(1, 100)...)))
	disk.full.Store(true)
	require.ErrorIs(t, l.Append(ctx, logtest.Records(101, 102)), syscall.ENOSPC)
	require.ErrorIs(t, l.Append(ctx, logtest.Records(103)), persist.ErrFailed)
	cut := fs.CrashClone(vfs.CrashCloneCfg{})
	mark, err := cut.Open("log/acknowledged")
	require.NoError(t, err, "a power cut leaves the note")
	text, err := io.ReadAll(mark)
	require.NoError(t, err)
	require.NotEqual(t, make([]byte, 20), text[len(text)-20:])
	killed = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: logtest.Seeded(t, "persist/pebblelog")})
	require.Error(t, l.Close())
	return fs, killed
}

// requireRefused requires that a log has its acknowledged records and no other ones, takes
// the IDs of the refused ones for others, and keeps those.
func requireRefused(t *testing.T, fs vfs.FS, dir string) {
	t.Helper()
	for range 2 {
		l := openPebble(t, dir, pebblelog.WithFS(fs))
		require.Equal(t, logtest.Sequence(1, 100), logtest.IDs(logtest.ReadAll(t, l, 0, 1000)))
		require.Equal(t, uint64(100), l.Last())
		require.NoError(t, l.Close())
	}
	l := openPebble(t, dir, pebblelog.WithFS(fs))
	require.NoError(t, l.Append(ctx, logtest.Records(101, 105)))
	require.NoError(t, l.Close())
	l = openPebble(t, dir, pebblelog.WithFS(fs))
	require.Equal(t, append(logtest.Sequence(1, 101), 105), logtest.IDs(logtest.ReadAll(t, l, 0, 1000)))
	require.NoError(t, l.Close())
}

// TestRefusedStaysRefused is invariant 6 for a log that ends, in whatever way, before it
// could delete what failed appends left: its next life deletes it, and so do a copy of its
// folder and what repair makes of it.
func TestRefusedStaysRefused(t *testing.T) {
	t.Run("closed", func(t *testing.T) {
		fs, _ := refusing(t)
		requireRefused(t, fs, "log")
	})
	t.Run("killed", func(t *testing.T) {
		_, fs := refusing(t)
		requireRefused(t, fs, "log")
	})
	t.Run("backup", func(t *testing.T) {
		fs, _ := refusing(t)
		require.NoError(t, pebblelog.BackupFolder(ctx, "log", "backups", pebblelog.WithFS(fs)))
		r, err := pebblelog.Restore(ctx, "backups", "copy", pebblelog.WithFS(fs))
		require.NoError(t, err)
		require.Equal(t, int64(100), r.Records)
		require.Equal(t, uint64(100), r.Last)
		requireRefused(t, fs, "copy")
	})
	t.Run("export", func(t *testing.T) {
		fs, _ := refusing(t)
		n, err := pebblelog.ExportFolder(ctx, "log", 0, io.Discard, pebblelog.WithFS(fs))
		require.NoError(t, err)
		require.Equal(t, int64(100), n)
	})
	t.Run("repair", func(t *testing.T) {
		fs, _ := refusing(t)
		_, err := pebblelog.Repair(ctx, "log", "copy", pebblelog.WithFS(fs))
		require.NoError(t, err)
		requireRefused(t, fs, "copy")
	})
}

// TestRefusalIsForOneGeneration holds that a note of refused records, which is never taken
// back, deletes nothing that the healed log acknowledges: a log without sync, which notes no
// batches either, and is killed.
func TestRefusalIsForOneGeneration(t *testing.T) {
	fs, disk, clock := vfs.NewCrashableMem(), &denying{}, logtest.NewClock()
	l := openPebble(t, "log", pebblelog.WithFS(errorfs.Wrap(fs, disk)), pebblelog.WithSync(false), pebblelog.WithClock(clock))
	appended := func() error {
		id := l.Last() + 1
		return l.Append(ctx, []persist.Record{{ID: id, Time: 1, Frame: logtest.Frame(id, 64<<10)}})
	}
	require.NoError(t, appended())
	disk.full.Store(true)
	require.Eventually(t, func() bool { return appended() != nil }, time.Minute, time.Millisecond)
	refused := l.Last() + 1
	disk.full.Store(false)
	require.Eventually(t, func() bool {
		clock.Advance(time.Millisecond) // until it is tried to heal, and not until batches are noted
		return appended() == nil
	}, time.Minute, time.Millisecond)
	for range 100 { // Pebble keeps the newest to itself
		require.NoError(t, appended())
	}
	left := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: logtest.Seeded(t, "persist/pebblelog")})
	require.NoError(t, l.Close())
	l = openPebble(t, "log", pebblelog.WithFS(left))
	require.Greater(t, l.Last(), refused)
	require.Equal(t, logtest.Sequence(1, l.Last()), logtest.IDs(logtest.ReadAll(t, l, 0, 1000)))
	require.NoError(t, l.Close())
}
