//go:build unix

package pebblelog_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/internal/testrace"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/pebblelog"
)

// TestDamagedLargeBlockIsCheap holds that a damaged block of a large event costs a
// reader no more than a sound one, at each read, and that the rest can be read, checked
// and salvaged. What Pebble does by itself takes tens of seconds of processor time a
// read.
func TestDamagedLargeBlockIsCheap(t *testing.T) {
	testrace.Pointless(t)
	const events, size = 24, 1 << 20
	dir := t.TempDir()
	l := openPebble(t, dir, pebblelog.WithSync(false))
	require.NoError(t, l.BeginRun(1))
	for id := uint64(1); id <= events; id++ {
		require.NoError(t, l.Append(ctx, []persist.Record{{ID: id, Time: int64(id), Frame: randomFrame(id, size)}}))
	}
	require.NoError(t, l.Close())
	flipOne(t, one(t, dir, "*.sst"))

	start := processorTime(t)
	l = openPebble(t, dir)
	for range 3 {
		_, err := l.Read(ctx, 0, persist.Limit{Records: 1000, Bytes: 1 << 30})
		require.ErrorIs(t, err, pebblelog.ErrDamaged)
		require.Regexp(t, `\d{6}\.sst is damaged$`, err.Error())
	}
	require.NoError(t, l.Close())
	found, err := pebblelog.Check(ctx, dir)
	require.NoError(t, err)
	require.NotEmpty(t, found.Damaged)
	r, err := pebblelog.Repair(ctx, dir, filepath.Join(t.TempDir(), "new"))
	require.NoError(t, err)
	require.Equal(t, int64(events-1), r.Records)
	// One search for a flipped bit in one such block takes more than this.
	require.Less(t, processorTime(t)-start, 10*time.Second)
}

// flipOne damages a bit in the middle of a file.
func flipOne(t *testing.T, name string) {
	t.Helper()
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	data[len(data)/2] ^= 0x10
	require.NoError(t, os.WriteFile(name, data, 0o600))
}

// processorTime is what the process has used.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
