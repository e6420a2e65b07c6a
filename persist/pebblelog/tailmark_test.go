package pebblelog_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/logtest"
	"github.com/spatehub/spate/persist/pebblelog"
)

// killed returns what kill -9 leaves of a log: all that was written, synced or not.
func killed(t *testing.T, fs *vfs.MemFS, l *pebblelog.Log) *vfs.MemFS {
	t.Helper()
	left := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: logtest.Seeded(t, "persist/pebblelog")})
	require.NoError(t, l.Close())
	return left
}

func walOf(t *testing.T, fs vfs.FS) string {
	t.Helper()
	names, err := fs.List("log")
	require.NoError(t, err)
	wal := ""
	for _, name := range names {
		if strings.HasSuffix(name, ".log") && name > wal {
			wal = name
		}
	}
	require.NotEmpty(t, wal)
	return fs.PathJoin("log", wal)
}

// TestLostTailIsFound is invariant 1 for a log whose end is damaged after kill -9: it
// says what is missing, in its log and its figures, and goes on above it.
func TestLostTailIsFound(t *testing.T) {
	flip := func(b []byte) []byte {
		for i := range 8 {
			b[len(b)-100+i] ^= 0xff
		}
		return b
	}
	for name, c := range map[string]struct {
		change func([]byte) []byte
		sure   bool // the number is exact
	}{
		"flipped bytes": {flip, true},
		"cut off":       {func(b []byte) []byte { return b[:len(b)*3/4] }, true},
		"all gone":      {func([]byte) []byte { return nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewCrashableMem()
			l := openPebble(t, "log", pebblelog.WithFS(fs))
			require.NoError(t, l.BeginRun(1000))
			for id := uint64(1000); id < 1100; id += 2 {
				require.NoError(t, l.Append(ctx, logtest.Records(id, id+1)))
			}
			fs = killed(t, fs, l)
			rewrite(t, fs, walOf(t, fs), c.change)

			var said bytes.Buffer
			l = openPebble(t, "log", pebblelog.WithFS(fs), pebblelog.WithLogger(slog.New(slog.NewTextHandler(&said, nil))))
			last, lost := l.Last(), l.LogStats().LostTail
			require.Less(t, last, uint64(1099))
			require.Equal(t, persist.LostTail{From: last + 1, To: 1099, Records: lost.Records}, lost)
			if c.sure {
				require.Equal(t, int64(1099-last), lost.Records)
			}
			require.GreaterOrEqual(t, lost.Records, int64(1))
			require.Equal(t, 1, strings.Count(said.String(), "\n"), said.String())
			require.Contains(t, said.String(), "the end of the log is lost")
			require.Equal(t, uint64(1099), l.HighWater())
			require.ErrorIs(t, l.BeginRun(last), persist.ErrOrder)
			requireIssued(t, l, false, last+1, 1099)
			require.Zero(t, l.LostAfter(0), "it may still come again")

			require.NoError(t, l.BeginRun(1100))
			require.NoError(t, l.Append(ctx, logtest.Records(1100)))
			require.NoError(t, l.Close())
			l = openPebble(t, "log", pebblelog.WithFS(fs))
			require.Zero(t, l.LogStats().LostTail, "what was said is over with the next record")
			for id, want := range map[uint64]uint64{0: 1099, last: 1099, 1098: 1099, 1099: 0, 1100: 0} {
				require.Equal(t, want, l.LostAfter(id), id)
			}
			requireIssued(t, l, false, last+1, 1099)
			require.NoError(t, l.Close())
		})
	}
}

// TestLostTailComesAgain holds that a hub which follows, and to which those who give IDs
// bring again what its log has lost, goes on where that ends: lost records, and those that
// a log without sync had not written, lie below the high-water mark.
func TestLostTailComesAgain(t *testing.T) {
	for _, sync := range []bool{true, false} {
		fs := vfs.NewCrashableMem()
		opts := []pebblelog.Option{pebblelog.WithSync(sync), pebblelog.WithClock(logtest.NewClock())}
		l := openPebble(t, "log", append(opts, pebblelog.WithFS(fs))...)
		require.NoError(t, l.BeginRun(1000))
		for id := uint64(1000); id < 1100; id++ {
			require.NoError(t, l.Append(ctx, logtest.Records(id)))
		}
		fs = killed(t, fs, l)
		if sync {
			rewrite(t, fs, walOf(t, fs), func(b []byte) []byte { return b[:len(b)*3/4] })
		}

		l = openPebble(t, "log", append(opts, pebblelog.WithFS(fs))...)
		last := l.Last()
		require.Less(t, last, uint64(1099))
		require.GreaterOrEqual(t, l.HighWater(), uint64(1099))
		require.NoError(t, l.BeginRun(last+1))
		require.NoError(t, l.Append(ctx, logtest.Records(logtest.Sequence(last+1, 1105)...)))
		requireIssued(t, l, true, last+1, 1099, 1105)
		require.NoError(t, l.Close())
		l = openPebble(t, "log", append(opts, pebblelog.WithFS(fs))...)
		require.Equal(t, uint64(1105), l.Last())
		require.Zero(t, l.LogStats().LostTail)
		require.NoError(t, l.Close())
	}
}

// TestNoFalseAlarm holds that nothing is missed where nothing is missing: after an
// orderly end, kill -9, a power cut that leaves the mark behind, and with a mark that
// is gone or damaged.
func TestNoFalseAlarm(t *testing.T) {
	build := func(sync bool) (*vfs.MemFS, *pebblelog.Log) {
		fs := vfs.NewCrashableMem()
		l := openPebble(t, "log", pebblelog.WithFS(fs), pebblelog.WithSync(sync))
		for id := uint64(1); id <= 1000; id++ {
			require.NoError(t, l.Append(ctx, logtest.Records(id)))
		}
		return fs, l
	}
	check := func(fs vfs.FS, what string, last, high uint64) {
		t.Helper()
		l := openPebble(t, "log", pebblelog.WithFS(fs))
		require.Equal(t, last, l.Last(), what)
		require.Zero(t, l.LogStats().LostTail, what)
		require.Equal(t, high, l.HighWater(), what)
		require.NoError(t, l.Close())
	}
	fs, l := build(true)
	cut := fs.CrashClone(vfs.CrashCloneCfg{})
	left := killed(t, fs, l)
	check(cut, "power cut", 1000, 1000)
	check(left, "kill", 1000, 1000)
	check(fs, "orderly end", 1000, 1000)
	rewrite(t, fs, "log/acknowledged", func(b []byte) []byte { return b[:len(b)/2] })
	check(fs, "half a mark", 1000, 1000)
	require.NoError(t, fs.Remove("log/acknowledged"))
	check(fs, "no mark", 1000, 1000)

	fs, l = build(false)
	require.NoError(t, l.Close())
	check(fs, "orderly end without sync", 1000, 1000)
}

// TestUnsyncedIDsDoNotComeAgain is invariant 1 for a log without sync that is killed:
// what it had acknowledged and not written lies below its high-water mark.
func TestUnsyncedIDsDoNotComeAgain(t *testing.T) {
	fs := vfs.NewCrashableMem()
	l := openPebble(t, "log", pebblelog.WithFS(fs), pebblelog.WithSync(false), pebblelog.WithClock(logtest.NewClock()))
	require.NoError(t, l.Append(ctx, logtest.Records(logtest.Sequence(1, 100)...)))
	require.NoError(t, l.Append(ctx, logtest.Records(5_000_000)))
	left := killed(t, fs, l)
	l = openPebble(t, "log", pebblelog.WithFS(left), pebblelog.WithSync(false))
	require.GreaterOrEqual(t, l.HighWater(), uint64(5_000_000))
	require.Less(t, l.Last(), uint64(5_000_000), "Pebble has kept it to itself")
	require.NoError(t, l.Close())
}
