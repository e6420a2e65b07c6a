package pebblelog_test

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
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

// topic is the topic that histories are of.
var topic = []string{"t"}

// history is what became of every record that was appended.
type history struct {
	acked  []uint64
	failed map[uint64]bool
}

// append appends a batch and notes the outcome.
func (h *history) append(l persist.Log, recs []persist.Record) error {
	err := l.Append(ctx, recs)
	for _, r := range recs {
		if err == nil {
			h.acked = append(h.acked, r.ID)
		} else {
			h.failed[r.ID] = true
		}
	}
	return err
}

// live is a life of a log on a file system that may fail: it is opened, written,
// read, trimmed and closed. The batches are large enough to fill memtables, so that
// logs are rotated, tables written and manifests changed as well.
func (h *history) live(t *testing.T, fs vfs.FS, opts ...pebblelog.Option) error {
	opts = append(opts, pebblelog.WithFS(fs), pebblelog.WithFlushDelay(time.Millisecond))
	l, err := pebblelog.Open("dir/log", opts...)
	if err != nil {
		return err
	}
	next := max(l.Last(), uint64(len(h.acked)+len(h.failed))) + 1
	floor, ofTopic := l.Floor(nil), l.Floor(topic)
	for i := range 8 {
		var recs []persist.Record
		for range 3 {
			recs = append(recs, persist.Record{ID: next, Topic: "t", Frame: logtest.Frame(next, 10+60_000*(i%2))})
			next++
		}
		_ = h.append(l, recs)
		if i == 5 {
			l.Settle()
		}
		// Readers look at the floor before and after they read: were it lowered, they would
		// not be told of what they did not find.
		require.GreaterOrEqual(t, l.Floor(nil), floor)
		require.GreaterOrEqual(t, l.Floor(topic), ofTopic)
		floor, ofTopic = l.Floor(nil), l.Floor(topic)
		// Whatever fails, what is read was acknowledged, and nothing is missing.
		if p, err := l.Read(ctx, 0, persist.Limit{Bytes: 1 << 30}); err == nil {
			h.check(t, l, p.Records)
		}
		if p, err := l.Query(ctx, persist.Query{Topics: topic}, 0, persist.Limit{Bytes: 1 << 30}); err == nil {
			h.check(t, l, p.Records)
		}
	}
	return l.Close()
}

// check requires that records are acknowledged ones, each once and in order, and
// all of them from the floor on, which may have been lower when they were read.
func (h *history) check(t *testing.T, l persist.Log, got []persist.Record) {
	t.Helper()
	above, _ := slices.BinarySearch(h.acked, l.Floor(topic)+1)
	from := max(0, len(h.acked)-len(got))
	require.LessOrEqual(t, from, above, "records are missing: got %v of %v", logtest.IDs(got), h.acked)
	require.Equal(t, fmt.Sprint(h.acked[from:]), fmt.Sprint(logtest.IDs(got)))
	for _, r := range got {
		require.Contains(t, string(r.Frame), fmt.Sprintf("id: %d\n", r.ID))
	}
}

// TestEachCallFailsOnce lets the n-th call of the file system fail, for n = 0, 1,
// 2… until a run passes untouched. Invariant 6: acknowledged records are all there,
// in order, once, in this life and the next; records whose append failed never.
func TestEachCallFailsOnce(t *testing.T) {
	for name, opts := range map[string][]pebblelog.Option{
		"sync":   {pebblelog.WithRetention(persist.Retention{MaxCount: 8})},
		"nosync": {pebblelog.WithSync(false)},
		"topics": {pebblelog.WithRetention(persist.Retention{Topics: map[string]persist.Retention{"t": {MaxCount: 8}}})},
	} {
		t.Run(name, func(t *testing.T) {
			// Under the race detector only some of the calls, other ones each time: the log
			// and its database have goroutines of their own.
			n, step := int32(0), int32(1)
			if testrace.On {
				step = 16
				n = logtest.Seeded(t, "persist/pebblelog").Int32N(step)
			}
			calls := int32(0)
			for ; ; n += step {
				h := &history{failed: make(map[uint64]bool)}
				mem := vfs.NewMem()
				inj := errorfs.OnIndex(n)
				_ = h.live(t, errorfs.Wrap(mem, inj), opts...)
				h.verify(t, mem, fmt.Sprintf("call %d failed", n), opts...)
				if inj.Load() >= 0 {
					calls = n
					break
				}
			}
			t.Logf("%d calls", calls)
		})
	}
}

// verify opens the log on the healthy file system.
func (h *history) verify(t *testing.T, fs vfs.FS, what string, opts ...pebblelog.Option) {
	t.Helper()
	l, err := pebblelog.Open("dir/log", append(opts, pebblelog.WithFS(fs))...)
	require.NoError(t, err, what)
	defer func() { require.NoError(t, l.Close(), what) }()
	got := logtest.ReadAll(t, l, 0, 100)
	for _, r := range got {
		require.False(t, h.failed[r.ID], "%s: record %d is there although its append failed", what, r.ID)
	}
	h.check(t, l, got)
	if len(h.acked) > 0 {
		require.Equal(t, h.acked[len(h.acked)-1], l.Last(), what)
	}
	require.NoError(t, h.append(l, logtest.Records(l.Last()+1000)), what)
	h.check(t, l, logtest.ReadAll(t, l, 0, 100))
	h.check(t, l, queryAllTopics(t, l))
}

// queryAllTopics reads everything through the index.
func queryAllTopics(t *testing.T, l *pebblelog.Log) []persist.Record {
	return logtest.QueryAll(t, l, persist.Query{Public: true, Topics: topic}, 0, 7)
}

// switchable fails all calls of some kinds while it is on.
type switchable struct {
	*errorfs.Toggle
}

func failing(err error, kinds ...errorfs.OpKind) *switchable {
	return &switchable{&errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		if slices.Contains(kinds, op.Kind) {
			return fmt.Errorf("%s: %w", op.Path, err)
		}
		return nil
	})}}
}

// TestDiskFails lets everything that writes fail for a while. Appends fail with the
// cause, reading goes on, and when the disk works again so does the log, without
// what failed.
func TestDiskFails(t *testing.T) {
	kinds := map[string][]errorfs.OpKind{
		"write":  {errorfs.OpFileWrite},
		"sync":   {errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo},
		"create": {errorfs.OpCreate, errorfs.OpReuseForWrite},
	}
	kinds["all"] = slices.Concat(slices.Collect(maps.Values(kinds))...)
	for name, ops := range kinds {
		t.Run(name, func(t *testing.T) {
			mem := vfs.NewMem()
			inj := failing(syscall.ENOSPC, ops...)
			clock := logtest.NewClock()
			var said strings.Builder
			l, err := pebblelog.Open("log", pebblelog.WithFS(errorfs.Wrap(mem, inj)), pebblelog.WithClock(clock),
				pebblelog.WithLogger(slog.New(slog.NewTextHandler(&said, nil))))
			require.NoError(t, err)
			h := &history{failed: make(map[uint64]bool)}
			require.NoError(t, h.append(l, logtest.Records(1, 2, 3)))

			inj.On()
			next := uint64(4)
			for h.append(l, []persist.Record{{ID: next, Frame: logtest.Frame(next, 200_000)}}) == nil {
				next++ // until a new file is needed
			}
			for range 5 {
				next++
				err := h.append(l, logtest.Records(next))
				require.ErrorIs(t, err, persist.ErrFailed)
				require.ErrorIs(t, err, syscall.ENOSPC)
				h.check(t, l, logtest.ReadAll(t, l, 0, 100))
				clock.Advance(time.Minute)
			}
			require.ErrorIs(t, l.LogStats().Err, syscall.ENOSPC)

			inj.Off()
			clock.Advance(time.Minute)
			require.NoError(t, h.append(l, logtest.Records(next+1, next+2)))
			require.NoError(t, l.LogStats().Err)
			h.check(t, l, logtest.ReadAll(t, l, 0, 100))
			require.NoError(t, l.Close())
			require.Contains(t, said.String(), "log can't be written")
			require.Contains(t, said.String(), "log could not be opened anew")
			require.Contains(t, said.String(), "log takes records again")

			again, err := pebblelog.Open("log", pebblelog.WithFS(mem))
			require.NoError(t, err)
			h.check(t, again, logtest.ReadAll(t, again, 0, 100))
			require.NoError(t, again.Close())
		})
	}
}

// TestFailedBatchIsPurgedByClose holds that an append that failed on sync, whose
// bytes the disk has, does not come back with the next life (invariant 6), also
// when the log is closed before anything else is appended.
func TestFailedBatchIsPurgedByClose(t *testing.T) {
	mem := vfs.NewMem()
	inj := failing(syscall.EIO, errorfs.OpFileSync, errorfs.OpFileSyncData)
	l, err := pebblelog.Open("log", pebblelog.WithFS(errorfs.Wrap(mem, inj)), pebblelog.WithClock(logtest.NewClock()))
	require.NoError(t, err)
	require.NoError(t, l.Append(ctx, logtest.Records(1)))
	inj.On()
	require.ErrorIs(t, l.Append(ctx, logtest.Records(2)), syscall.EIO)
	inj.Off()
	require.NoError(t, l.Close())

	l, err = pebblelog.Open("log", pebblelog.WithFS(mem))
	require.NoError(t, err)
	require.Equal(t, []uint64{1}, logtest.IDs(logtest.ReadAll(t, l, 0, 10)))
	require.Equal(t, uint64(1), l.Last())
	require.NoError(t, l.Close())
}

// TestRetryOfFailedBatch holds that a batch that failed may be appended again with
// the same IDs, and is then there once.
func TestRetryOfFailedBatch(t *testing.T) {
	inj := failing(syscall.EIO, errorfs.OpFileSync, errorfs.OpFileSyncData)
	clock := logtest.NewClock()
	l, err := pebblelog.Open("log", pebblelog.WithFS(errorfs.Wrap(vfs.NewMem(), inj)), pebblelog.WithClock(clock))
	require.NoError(t, err)
	inj.On()
	require.Error(t, l.Append(ctx, logtest.Records(1, 2)))
	inj.Off()
	clock.Advance(time.Minute)
	require.NoError(t, l.Append(ctx, []persist.Record{{ID: 1, Users: []string{"u"}, Frame: logtest.Frame(1, 1)}}))
	require.Equal(t, []uint64{1}, logtest.IDs(logtest.ReadAll(t, l, 0, 10)))
	p, err := l.Query(ctx, persist.Query{Public: true}, 0, persist.Limit{})
	require.NoError(t, err)
	require.Empty(t, p.Records, "the index of the failed batch must be gone")
	require.NoError(t, l.Close())
}

// TestPipelineFails holds that a failure fails all batches under way, and that a
// wait of before it tells nothing about batches after it.
func TestPipelineFails(t *testing.T) {
	begun := make(chan struct{})
	inj := &switchable{&errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind != errorfs.OpFileSync && op.Kind != errorfs.OpFileSyncData {
			return nil
		}
		<-begun // or the first batch could have failed before the others begin
		return syscall.EIO
	})}}
	clock := logtest.NewClock()
	l, err := pebblelog.Open("log", pebblelog.WithFS(errorfs.Wrap(vfs.NewMem(), inj)), pebblelog.WithClock(clock))
	require.NoError(t, err)
	inj.On()
	var waits []func() error
	for id := uint64(1); id <= 5; id++ {
		wait, err := l.Begin(logtest.Records(id))
		require.NoError(t, err)
		waits = append(waits, wait)
	}
	close(begun)
	require.ErrorIs(t, waits[0](), syscall.EIO)
	inj.Off()
	clock.Advance(time.Minute)
	wait, err := l.Begin(logtest.Records(10))
	require.NoError(t, err)
	for _, w := range waits[1:] {
		require.ErrorIs(t, w(), syscall.EIO)
	}
	require.NoError(t, wait())
	require.Equal(t, []uint64{10}, logtest.IDs(logtest.ReadAll(t, l, 0, 10)))
	require.NoError(t, l.Close())
}
