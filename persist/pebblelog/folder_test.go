package pebblelog_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/internal/testrace"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/logtest"
	"github.com/spatehub/spate/persist/pebblelog"
)

// TestReadOnlyFolder holds that what only reads a folder works where nothing can be
// written, and on a disk that is full: that is when it is needed.
func TestReadOnlyFolder(t *testing.T) {
	testrace.Pointless(t)
	for name, prepare := range map[string]func(t *testing.T, mnt string){
		"read-only": func(t *testing.T, mnt string) {
			require.NoError(t, syscall.Mount("", mnt, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
		},
		"full": func(t *testing.T, mnt string) {
			f, err := os.Create(filepath.Join(mnt, "ballast"))
			require.NoError(t, err)
			for err == nil {
				_, err = f.Write(make([]byte, 4096))
			}
			require.ErrorIs(t, err, syscall.ENOSPC)
			require.NoError(t, f.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			mnt := mountTmpfs(t, "size=16m")
			dir, out := filepath.Join(mnt, "log"), t.TempDir()
			l := openPebble(t, dir, pebblelog.WithMemTable(1<<20), pebblelog.WithSync(false))
			require.NoError(t, l.BeginRun(1))
			for id := uint64(1); id <= 100; id++ {
				require.NoError(t, l.Append(ctx, []persist.Record{{ID: id, Time: int64(id), Frame: logtest.Frame(id, 16<<10)}}))
			}
			var want bytes.Buffer
			_, err := pebblelog.Export(ctx, l, 7, &want)
			require.NoError(t, err)
			require.NoError(t, l.Close())
			require.NoError(t, os.Remove(filepath.Join(dir, "LOCK")))
			prepare(t, mnt)
			before := contentsOf(t, dir)

			checkWhole(t, dir, 100)
			var got bytes.Buffer
			n, err := pebblelog.ExportFolder(ctx, dir, 7, &got)
			require.NoError(t, err)
			require.Equal(t, int64(93), n)
			require.Equal(t, want.String(), got.String())
			require.NoError(t, pebblelog.BackupFolder(ctx, dir, filepath.Join(out, "backup")))
			checkWhole(t, filepath.Join(out, "backup"), 100)
			_, err = pebblelog.Repair(ctx, dir, filepath.Join(out, "repaired"))
			require.NoError(t, err)
			checkWhole(t, filepath.Join(out, "repaired"), 100)
			require.Equal(t, before, contentsOf(t, dir))
		})
	}
}

// TestBackupFolder holds that such a backup shares its tables with the folder, which is
// not changed by what is done with either later.
func TestBackupFolder(t *testing.T) {
	dir, target := inTables(t, 300), filepath.Join(t.TempDir(), "deep", "backup")
	require.NoError(t, pebblelog.BackupFolder(ctx, dir, target))
	before := contentsOf(t, target)
	name := filepath.Base(one(t, target, "*.sst"))
	a, err := os.Stat(filepath.Join(dir, name))
	require.NoError(t, err)
	b, err := os.Stat(filepath.Join(target, name))
	require.NoError(t, err)
	require.True(t, os.SameFile(a, b))

	l := openPebble(t, dir, pebblelog.WithRetention(persist.Retention{MaxCount: 10}))
	require.ErrorIs(t, pebblelog.BackupFolder(ctx, dir, target+"2"), persist.ErrLocked)
	for id := uint64(301); id <= 400; id++ {
		require.NoError(t, l.Append(ctx, logtest.Records(id)))
	}
	l.Settle()
	require.NoError(t, l.Close())
	require.Equal(t, before, contentsOf(t, target))
	checkWhole(t, target, 300)
	require.ErrorIs(t, pebblelog.BackupFolder(ctx, dir, target), os.ErrExist)
	require.ErrorContains(t, pebblelog.BackupFolder(ctx, dir, filepath.Join(dir, "x")), "lies in the folder")
	require.ErrorIs(t, pebblelog.BackupFolder(ctx, t.TempDir(), target+"3"), pebblelog.ErrForeign)
}

// TestFoldersBehindLinks holds that a folder is known by where it is, not by its name.
func TestFoldersBehindLinks(t *testing.T) {
	dir := t.TempDir()
	log, link := filepath.Join(dir, "log"), filepath.Join(dir, "link")
	l := openPebble(t, log)
	require.NoError(t, os.Symlink(log, link))
	require.ErrorContains(t, l.Backup(ctx, filepath.Join(link, "backup")), "lies in the folder")
	require.ErrorContains(t, l.CheckBackupFolder(link), "lies in the folder")
	require.ErrorContains(t, l.CheckBackupFolder(filepath.Join(link, "a", "b")), "lies in the folder")
	require.NoError(t, l.Close())
	_, err := pebblelog.Repair(ctx, log, filepath.Join(link, "new"))
	require.ErrorContains(t, err, "one folder lies in the other")
	_, err = pebblelog.Restore(ctx, log, filepath.Join(link, "new"))
	require.ErrorContains(t, err, "one folder lies in the other")
}

// TestCheckBackupFolder holds that a folder in which no backup could be made is found out
// about at once, and that one in which they can is left as it was.
func TestCheckBackupFolder(t *testing.T) {
	dir := t.TempDir()
	l := openPebble(t, filepath.Join(dir, "log"))
	require.NoError(t, l.CheckBackupFolder(filepath.Join(dir, "new", "backups")))
	names, err := os.ReadDir(filepath.Join(dir, "new", "backups"))
	require.NoError(t, err)
	require.Empty(t, names)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	require.ErrorIs(t, l.CheckBackupFolder(filepath.Join(dir, "file")), syscall.ENOTDIR)
	mnt := mountTmpfs(t, "size=1m")
	require.NoError(t, syscall.Mount("", mnt, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	require.ErrorIs(t, l.CheckBackupFolder(mnt), syscall.EROFS)
	require.NoError(t, l.Close())
}

// slowCopies is a file system without links, on which the files of backups are written
// when somebody lets them.
type slowCopies struct {
	vfs.FS
	begun   chan struct{} // closed by the first write
	release chan struct{}
	once    *sync.Once
}

func newSlowCopies(base vfs.FS) slowCopies {
	return slowCopies{base, make(chan struct{}), make(chan struct{}), new(sync.Once)}
}

func (slowCopies) Link(string, string) error { return &os.LinkError{Op: "link", Err: syscall.EXDEV} }

func (s slowCopies) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := s.FS.Create(name, category)
	if err != nil || !strings.Contains(name, ".partial") {
		return f, err
	}
	return slowFile{f, s}, nil
}

type slowFile struct {
	vfs.File
	s slowCopies
}

func (f slowFile) Write(p []byte) (int, error) {
	f.s.once.Do(func() { close(f.s.begun) })
	<-f.s.release
	return f.File.Write(p)
}

// TestBackupHoldsNobody is invariant 9 for a backup that takes its time: meanwhile a disk
// that failed is come back from, reads and appends go on, and what ends the backup ends
// it: its context, the failure, the end of the log.
func TestBackupHoldsNobody(t *testing.T) {
	for name, end := range map[string]struct {
		by   func(t *testing.T, l *pebblelog.Log, cancel func(), inj *switchable)
		want error
	}{
		"context": {func(_ *testing.T, _ *pebblelog.Log, cancel func(), _ *switchable) { cancel() }, context.Canceled},
		"failure": {func(t *testing.T, l *pebblelog.Log, _ func(), inj *switchable) {
			inj.On()
			require.ErrorIs(t, l.Append(ctx, logtest.Records(100)), persist.ErrFailed)
			inj.Off()
			id := uint64(101)
			require.Eventually(t, func() bool { id++; return l.Append(ctx, logtest.Records(id)) == nil }, time.Minute, time.Millisecond)
			require.Len(t, logtest.ReadAll(t, l, 0, 10), 11)
		}, persist.ErrFailed},
		"close": {func(t *testing.T, l *pebblelog.Log, _ func(), _ *switchable) {
			go func() { _ = l.Close() }()
			require.Eventually(t, func() bool { return l.LogStats().Err != nil }, time.Minute, time.Millisecond)
		}, persist.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			inj := failing(syscall.EIO, errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo)
			slow := newSlowCopies(errorfs.Wrap(vfs.NewMem(), inj))
			l := openPebble(t, "log", pebblelog.WithFS(slow))
			for id := uint64(1); id <= 10; id++ {
				require.NoError(t, l.Append(ctx, logtest.Records(id)))
			}
			asked, cancel := context.WithCancel(ctx)
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- l.Backup(asked, "backup") }()
			<-slow.begun
			end.by(t, l, cancel, inj)
			close(slow.release)
			require.ErrorIs(t, <-done, end.want)
			for _, left := range []string{"backup", "backup.partial"} {
				_, err := slow.Stat(left)
				require.ErrorIs(t, err, os.ErrNotExist)
			}
			require.NoError(t, l.Close())
		})
	}
}
