package pebblelog_test

import (
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/internal/testrace"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/logtest"
	"github.com/spatehub/spate/persist/pebblelog"
)

// requireOpenFails requires that Open fails and names the directory.
func requireOpenFails(t *testing.T, dir string, opts ...pebblelog.Option) error {
	t.Helper()
	l, err := pebblelog.Open(dir, opts...)
	require.Nil(t, l)
	require.ErrorContains(t, err, dir)
	return err
}

func TestOpenTwiceInOneProcess(t *testing.T) {
	dir := t.TempDir()
	l := openPebble(t, dir)
	require.ErrorIs(t, requireOpenFails(t, dir), persist.ErrLocked)
	require.NoError(t, l.Append(ctx, logtest.Records(1)), "the first log goes on")
	require.NoError(t, l.Close())
	require.NoError(t, openPebble(t, dir).Close(), "Close gives the directory free")

	fs := vfs.NewMem()
	l = openPebble(t, "log", pebblelog.WithFS(fs))
	require.ErrorIs(t, requireOpenFails(t, "log", pebblelog.WithFS(fs)), persist.ErrLocked)
	require.NoError(t, l.Close())
}

// helperDir is set in the process that TestOpenInSecondProcess starts.
const helperDir = "SPATETEST_TEST_OPEN_DIR"

// TestOpenInSecondProcess holds that a second process gets a clear error.
func TestOpenInSecondProcess(t *testing.T) {
	if dir := os.Getenv(helperDir); dir != "" {
		err := requireOpenFails(t, dir)
		require.ErrorIs(t, err, persist.ErrLocked)
		require.ErrorContains(t, err, "another process")
		return
	}
	dir := t.TempDir()
	l := openPebble(t, dir)
	defer func() { require.NoError(t, l.Close()) }()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, "-test.run=^TestOpenInSecondProcess$", "-test.v")
	cmd.Env = append(os.Environ(), helperDir+"="+dir)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "PASS: TestOpenInSecondProcess")
}

func TestOpenWhereNothingCanBeWritten(t *testing.T) {
	t.Run("a file is there", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		requireOpenFails(t, file)
		requireOpenFails(t, filepath.Join(file, "below"))
	})
	t.Run("read-only", func(t *testing.T) {
		dir := filepath.Join(mountTmpfs(t, "size=4m"), "log")
		require.NoError(t, openPebble(t, dir).Close())
		mnt := filepath.Dir(dir)
		require.NoError(t, syscall.Mount("", mnt, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
		require.ErrorIs(t, requireOpenFails(t, dir), syscall.EROFS)
		requireOpenFails(t, filepath.Join(mnt, "new"))
	})
	t.Run("permission", func(t *testing.T) {
		fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
				return &os.PathError{Op: "open", Path: op.Path, Err: syscall.EACCES}
			}
			return nil
		}))
		err := requireOpenFails(t, "log", pebblelog.WithFS(fs))
		require.ErrorIs(t, err, syscall.EACCES)
		require.NotErrorIs(t, err, persist.ErrLocked)
	})
}

// mountTmpfs mounts a small file system, or skips the test.
func mountTmpfs(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("needs the right to mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	return dir
}

// TestFullDisk fills a real file system. Appends fail with the cause, nothing that
// was acknowledged is lost, and with room again the log goes on.
func TestFullDisk(t *testing.T) {
	testrace.Pointless(t)
	mnt := mountTmpfs(t, "size=24m")
	dir := filepath.Join(mnt, "log")
	h := &history{failed: make(map[uint64]bool)}
	var said lockedBuffer
	l := openPebble(t, dir, pebblelog.WithLogger(slog.New(slog.NewTextHandler(&said, nil))))
	ballast := filepath.Join(mnt, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, 12<<20), 0o600))
	var err error
	next := uint64(1)
	for ; err == nil; next++ {
		err = h.append(l, []persist.Record{{ID: next, Frame: randomFrame(next, 64<<10)}})
	}
	require.ErrorIs(t, err, persist.ErrFailed)
	require.ErrorIs(t, err, syscall.ENOSPC)
	h.check(t, l, logtest.ReadAll(t, l, 0, 100))
	for range 50 {
		next++
		err := h.append(l, logtest.Records(next))
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.NotRegexp(t, internals, err.Error())
		require.Less(t, len(err.Error()), 300)
	}
	text := said.String()
	require.NotRegexp(t, internals, strings.ReplaceAll(text, "\n", ""))
	require.LessOrEqual(t, strings.Count(text, "\n"), 4, "it is said, and not again at each attempt:\n%s", text)
	require.Contains(t, text, "no space left on device")

	require.NoError(t, os.Remove(ballast))
	require.Eventually(t, func() bool {
		next++
		return h.append(l, logtest.Records(next)) == nil
	}, 20e9, 1e7)
	h.check(t, l, logtest.ReadAll(t, l, 0, 100))
	require.NoError(t, l.Close())
	l = openPebble(t, dir)
	h.check(t, l, logtest.ReadAll(t, l, 0, 100))
	require.NoError(t, l.Close())
}

// randomFrame returns a frame that does not compress.
func randomFrame(id uint64, n int) []byte {
	frame := make([]byte, n)
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], id)
	_, _ = rand.NewChaCha8(seed).Read(frame)
	return append(logtest.Frame(id, 1), frame...)
}

// TestForeignDirectory holds that a database of something else is left alone.
func TestForeignDirectory(t *testing.T) {
	fs := vfs.NewMem()
	db, err := pebble.Open("log", &pebble.Options{FS: fs, Logger: quiet{}})
	require.NoError(t, err)
	require.NoError(t, db.Set([]byte("e"), []byte("theirs"), pebble.Sync))
	require.NoError(t, db.Close())
	require.ErrorContains(t, requireOpenFails(t, "log", pebblelog.WithFS(fs)), "no event log")
}

// TestNewerFormat holds that a log that a later version wrote is refused.
func TestNewerFormat(t *testing.T) {
	fs := vfs.NewMem()
	db, err := pebble.Open("log", &pebble.Options{FS: fs, Logger: quiet{}})
	require.NoError(t, err)
	require.NoError(t, db.Set([]byte("sV"), []byte{99}, pebble.Sync))
	require.NoError(t, db.Close())
	require.ErrorContains(t, requireOpenFails(t, "log", pebblelog.WithFS(fs)), "format 99")
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(string, ...any) {}

// crashed returns a file system with a log of records 1..n, each synced, as a crash
// leaves it, and the name of its write-ahead log.
func crashed(t *testing.T, n uint64) (fs *vfs.MemFS, wal string) {
	t.Helper()
	mem := vfs.NewCrashableMem()
	l := openPebble(t, "log", pebblelog.WithFS(mem))
	for id := uint64(1); id <= n; id++ {
		require.NoError(t, l.Append(ctx, logtest.Records(id)))
	}
	fs = mem.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, l.Close())
	names, err := fs.List("log")
	require.NoError(t, err)
	for _, name := range names {
		if strings.HasSuffix(name, ".log") {
			wal = fs.PathJoin("log", name)
		}
	}
	require.NotEmpty(t, wal)
	return fs, wal
}

// rewrite replaces the contents of a file.
func rewrite(t *testing.T, fs vfs.FS, name string, change func([]byte) []byte) {
	t.Helper()
	f, err := fs.Open(name)
	require.NoError(t, err)
	info, err := f.Stat()
	require.NoError(t, err)
	data := make([]byte, info.Size())
	_, err = f.ReadAt(data, 0)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	w, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	_, err = w.Write(change(data))
	require.NoError(t, err)
	require.NoError(t, w.Sync())
	require.NoError(t, w.Close())
}

// TestCorruptTail damages the end of the write-ahead log, as a crash in the middle
// of a write may. What is read then is a beginning of what was appended, unchanged;
// or the log says that it is corrupt.
func TestCorruptTail(t *testing.T) {
	const n = 50
	cut := func(k int) func([]byte) []byte { return func(b []byte) []byte { return b[:len(b)-k] } }
	for name, c := range map[string]struct {
		change  func([]byte) []byte
		atLeast int
	}{
		"garbage behind": {func(b []byte) []byte { return append(b, "\x01\x02garbage that is no record"...) }, n},
		"zeros behind":   {func(b []byte) []byte { return append(b, make([]byte, 5000)...) }, n},
		"one byte less":  {cut(1), n - 1},
		"half gone":      {func(b []byte) []byte { return b[:len(b)/2] }, 1},
		"all gone":       {func([]byte) []byte { return nil }, 0},
		"last byte":      {func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, n - 1},
		"middle":         {func(b []byte) []byte { b[len(b)/2] ^= 1; return b }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			fs, wal := crashed(t, n)
			rewrite(t, fs, wal, c.change)
			l, err := pebblelog.Open("log", pebblelog.WithFS(fs))
			if err != nil {
				require.Equal(t, "middle", name, "unexpected error: %v", err)
				require.ErrorIs(t, err, pebble.ErrCorruption)
				return
			}
			got := logtest.ReadAll(t, l, 0, 7)
			require.GreaterOrEqual(t, len(got), c.atLeast)
			require.Equal(t, logtest.Records(logtest.Sequence(1, uint64(len(got)))...), append([]persist.Record{}, got...))
			require.NoError(t, l.Append(ctx, logtest.Records(1000)), "the log goes on")
			require.NoError(t, l.Close())
		})
	}
}
