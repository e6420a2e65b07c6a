package engine_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/internal/testrace"
	"github.com/spatehub/spate/persist/pebblelog"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// quarters is the time in quarters of a microsecond since 1970.
func quarters() uint64 { return uint64(time.Now().UnixNano() / 250) }

// startHub starts a hub that the test closes itself.
func startHub(t testing.TB, opts ...engine.HubOption) *engine.Hub {
	t.Helper()
	return engine.NewHub(append([]engine.HubOption{engine.WithLogger(testLogger(t)), engine.WithEnableResendEvents()}, opts...)...)
}

func openFolder(t testing.TB, dir string) *pebblelog.Log {
	t.Helper()
	log, err := pebblelog.Open(dir)
	require.NoError(t, err)
	return log
}

// Invariant 1: a folder that is put back does not bring its IDs back. What was
// issued since the copy is not known any more, and told by a gap.
func TestRestoredCopyIssuesNoIDAgain(t *testing.T) {
	dir, backup := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	seen := map[uint64]bool{}
	push := func(h *engine.Hub, n int) []uint64 {
		ids := pushN(t, h, n)
		for _, id := range ids {
			require.False(t, seen[id], "%d is issued a second time", id)
			seen[id] = true
		}
		return ids
	}
	run := func(n int) []uint64 {
		h := startHub(t, engine.WithLog(openFolder(t, dir)))
		defer h.Close()
		return push(h, n)
	}
	old := run(3)
	require.NoError(t, os.CopyFS(backup, os.DirFS(dir)))
	lost := run(2)
	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, os.CopyFS(dir, os.DirFS(backup)))

	h := newHub(t, engine.WithLog(openFolder(t, dir)), engine.WithEnableResendEvents())
	fresh := push(h, 3)
	settled(h)
	for _, id := range lost {
		seat := seatOf(t, h, engine.Subscription{LastEventID: wire.FormatID(id)})
		_, lost := seat.Gap()
		require.True(t, lost)
		s := take(t, seat, -1)
		settled(h)
		require.Equal(t, []gap{{id, fresh[0] - 1}}, gapsOf(t, s))
		require.Equal(t, fresh, s.ids(t))
	}
	s := join(t, h, engine.Subscription{LastEventID: wire.FormatID(old[2])}, -1)
	settled(h)
	require.Zero(t, s.gaps(t))
	require.Equal(t, fresh, s.ids(t))
}

// Invariant 1: bytes that flip in the last block of the write-ahead log take
// acknowledged records with them. Their IDs are not issued again, and a client
// that has one, or comes from before them, is told of a gap: also when the hub has
// started once more since (invariant 3).
func TestDamagedTailIssuesNoIDAgain(t *testing.T) {
	dir, killed := t.TempDir(), filepath.Join(t.TempDir(), "killed")
	h := startHub(t, engine.WithLog(openFolder(t, dir)))
	ids := pushN(t, h, 30)
	require.NoError(t, os.CopyFS(killed, os.DirFS(dir))) // as kill -9 leaves it
	h.Close()
	damageTail(t, killed)

	log := openFolder(t, killed)
	kept := log.Last()
	require.Less(t, kept, ids[29], "the damage takes something")
	h = newHub(t, engine.WithLog(log), engine.WithEnableResendEvents())
	fresh := pushN(t, h, 3)
	require.Greater(t, fresh[0], ids[29])
	settled(h)
	requireLossTold(t, h, ids, fresh, kept)
	h.Close()

	h = newHub(t, engine.WithLog(openFolder(t, killed)), engine.WithEnableResendEvents())
	requireLossTold(t, h, ids, fresh, kept)
	s := join(t, h, engine.Subscription{LastEventID: engine.Earliest}, -1)
	settled(h)
	require.Equal(t, []gap{{0, ids[29]}}, gapsOf(t, s))
	s = join(t, h, engine.Subscription{LastEventID: wire.FormatID(fresh[0])}, -1)
	settled(h)
	require.Zero(t, s.gaps(t))
}

// requireLossTold resumes after each of ids, of which those after kept are lost.
func requireLossTold(t *testing.T, h *engine.Hub, ids, fresh []uint64, kept uint64) {
	t.Helper()
	for _, id := range ids {
		s := join(t, h, engine.Subscription{LastEventID: wire.FormatID(id)}, -1)
		settled(h)
		want := fresh
		for i := len(ids) - 1; i >= 0 && ids[i] > id; i-- {
			if ids[i] <= kept {
				want = append([]uint64{ids[i]}, want...)
			}
		}
		require.Equal(t, want, s.ids(t))
		to := ids[29]
		if id > kept {
			to = fresh[0] - 1
		}
		require.Equal(t, []gap{{id, to}}, gapsOf(t, s))
	}
}

// damageTail flips eight bytes near the end of the newest write-ahead log.
func damageTail(t testing.TB, dir string) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	require.NoError(t, err)
	require.NotEmpty(t, logs)
	name := logs[len(logs)-1]
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	end := len(bytes.TrimRight(b, "\x00"))
	require.Greater(t, end, 64)
	for i := end - 40; i < end-32; i++ {
		b[i] ^= 0xff
	}
	require.NoError(t, os.WriteFile(name, b, 0o600))
}

// Invariant 1: no rate makes IDs run ahead of the clock, which is where the next
// run of a hub without a log begins.
func TestNoRateReachesTheClock(t *testing.T) {
	testrace.Pointless(t)
	synctest.Test(t, func(t *testing.T) { // where pushing takes no time at all
		for range 3 {
			h := startHub(t)
			start := h.LastID()
			require.LessOrEqual(t, start, quarters())
			var batch []*wire.Event
			for i := range 1000 {
				batch = append(batch, number(i))
			}
			for range 200 {
				ids, err := h.Publish(context.Background(), nil, batch...)
				require.NoError(t, err)
				require.Less(t, ids[999], quarters(), "an ID from the future")
			}
			require.Equal(t, start+200_000, h.LastID())
			h.Close()
			next := startHub(t)
			require.GreaterOrEqual(t, next.LastID(), start+200_000)
			next.Close()
		}
	})
}

// The same with publishers beside each other and a real clock.
func TestNoRateReachesTheClockBesideOthers(t *testing.T) {
	h := newHub(t, engine.WithChanBufferSize(64))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 2000 {
				ids, err := h.Publish(context.Background(), nil, number(1), number(2), number(3))
				if err != nil {
					t.Error(err)
					return
				}
				if now := quarters(); ids[2] >= now {
					t.Errorf("%d at %d", ids[2], now)
				}
			}
		})
	}
	wg.Wait()
}

// Every start begins a run, also after an orderly end: at the clock, or above what
// the log knows to be issued, where that is more.
func TestEveryStartBeginsARun(t *testing.T) {
	for _, ahead := range []uint64{0, 1 << 50} {
		log := keptLog()
		log.high = ahead
		if ahead != 0 {
			log.high += quarters()
		}
		var last uint64
		for range 3 {
			before := quarters()
			h := startHub(t, engine.WithLog(log))
			ids := pushN(t, h, 3)
			h.Close()
			require.Equal(t, ids[0], log.runs.begun[len(log.runs.begun)-1])
			require.Greater(t, ids[0], last)
			require.GreaterOrEqual(t, ids[0], before)
			require.Greater(t, ids[0], log.high)
			last = ids[2]
		}
		require.Len(t, log.runs.begun, 3)
	}
}

// A run that the log does not take fails pushes until it does, and is begun once.
func TestRunIsBegunBeforeTheFirstBatch(t *testing.T) {
	log := keptLog()
	log.setRuns(errDisk)
	h := newHub(t, engine.WithLog(log))
	require.ErrorIs(t, h.Healthy(), errDisk)
	err := h.Push(nil, message("x"))
	require.ErrorIs(t, err, engine.ErrLog)
	require.ErrorIs(t, err, errDisk)
	require.Zero(t, log.LogStats().Count)
	log.setRuns(nil)
	ids := pushN(t, h, 3)
	require.Equal(t, []uint64{ids[0] - 1}, log.runs.begun)
}
