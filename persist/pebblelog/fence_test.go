package pebblelog_test

import (
	"io"
	"io/fs"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist/pebblelog"
)

const anyCategory = vfs.WriteCategoryUnspecified

func newFence(t *testing.T, base vfs.FS) pebblelog.Fence {
	t.Helper()
	require.NoError(t, base.MkdirAll("d", 0o755))
	f, err := pebblelog.NewFence(base, "d")
	require.NoError(t, err)
	return f
}

func contents(t *testing.T, fs vfs.FS, name string) string {
	t.Helper()
	f, err := fs.Open(name)
	require.NoError(t, err)
	data, err := io.ReadAll(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return string(data)
}

func write(t *testing.T, f vfs.File, s string) {
	t.Helper()
	n, err := f.Write([]byte(s))
	require.NoError(t, err)
	require.Equal(t, len(s), n)
}

// TestFenceCutsOff holds what makes a failed database harmless: after the first
// failed change nothing reaches the real file system, while the database behind the
// fence sees its own changes and no error.
func TestFenceCutsOff(t *testing.T) {
	mem := vfs.NewMem()
	inj := failing(syscall.EIO, errorfs.OpFileSyncData)
	f := newFence(t, errorfs.Wrap(mem, inj))
	wal, err := f.Create("d/1.log", anyCategory)
	require.NoError(t, err)
	write(t, wal, "before")
	require.NoError(t, wal.SyncData())
	require.NoError(t, f.Err())

	inj.On()
	require.NoError(t, wal.SyncData(), "Pebble would not bear the error")
	require.ErrorIs(t, f.Err(), syscall.EIO)
	inj.Off()
	f.Drain()
	write(t, wal, " after")
	require.NoError(t, wal.Sync())
	_, err = wal.SyncTo(3)
	require.NoError(t, err)
	require.NoError(t, wal.Preallocate(0, 100))
	require.NoError(t, wal.Close())
	require.Equal(t, "before", contents(t, mem, "d/1.log"))

	next, err := f.Create("d/2.log", anyCategory)
	require.NoError(t, err)
	write(t, next, "unreal")
	require.NoError(t, next.Close())
	reused, err := f.ReuseForWrite("d/1.log", "d/3.log", anyCategory)
	require.NoError(t, err)
	require.NoError(t, reused.Close())
	require.NoError(t, f.Rename("d/2.log", "d/4.log"))
	require.NoError(t, f.Rename("d/1.log", "d/5.log"))
	require.NoError(t, f.Remove("d/1.log"))
	require.NoError(t, f.RemoveAll("d/1.log"))
	require.NoError(t, f.MkdirAll("d/sub", 0o755))
	require.ErrorIs(t, f.Link("d/1.log", "d/6.log"), syscall.EIO)
	rw, err := f.OpenReadWrite("d/7.log", anyCategory)
	require.NoError(t, err)
	require.NoError(t, rw.Close())

	names, err := mem.List("d")
	require.NoError(t, err)
	require.Equal(t, []string{"1.log"}, names, "the real directory is as it was")
	names, err = f.List("d")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"1.log", "3.log", "4.log", "7.log", "sub"}, names)
	require.Equal(t, "unreal", contents(t, f, "d/4.log"))
	require.Equal(t, "before", contents(t, f, "d/1.log"))
	info, err := f.Stat("d/4.log")
	require.NoError(t, err)
	require.Equal(t, int64(6), info.Size())
	_, err = f.Stat("d/none")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// TestFenceTables holds that a table that can't be written gives an error, which
// Pebble bears; that flushes go on in memory, so that no writer waits for ever; and
// that compactions wait for the end instead of filling memory or trying for ever.
func TestFenceTables(t *testing.T) {
	f := newFence(t, vfs.NewMem())
	table, err := f.Create("d/1.sst", "pebble-compaction")
	require.NoError(t, err)
	f.Fail(syscall.ENOSPC)
	_, err = table.Write([]byte("x"))
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorIs(t, table.Sync(), syscall.ENOSPC)
	require.NoError(t, table.Close())

	flush, err := f.Create("d/2.sst", "pebble-memtable-flush")
	require.NoError(t, err)
	write(t, flush, "x")
	require.NoError(t, flush.Close())

	done := make(chan error)
	go func() {
		_, err := f.Create("d/3.sst", "pebble-compaction")
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("compaction went on: %v", err)
	default:
	}
	f.BeginClose()
	require.ErrorIs(t, <-done, syscall.ENOSPC)
}

// TestFenceBearsRemove holds that a file that can't be removed does not end a
// generation, unless Pebble needs it gone.
func TestFenceBearsRemove(t *testing.T) {
	f := newFence(t, errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpRemove {
			return syscall.EIO
		}
		return nil
	})))
	for _, name := range []string{"d/1.sst", "d/marker.manifest.1"} {
		file, err := f.Create(name, anyCategory)
		require.NoError(t, err)
		require.NoError(t, file.Close())
	}
	require.ErrorIs(t, f.Remove("d/1.sst"), syscall.EIO)
	require.NoError(t, f.Err())
	require.NoError(t, f.Remove("d/marker.manifest.1"))
	require.ErrorIs(t, f.Err(), syscall.EIO)
}
