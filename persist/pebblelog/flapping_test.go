package pebblelog_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/internal/testrace"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/logtest"
	"github.com/spatehub/spate/persist/pebblelog"
)

// eager is a clock that lets no time pass between two attempts to open the log.
type eager struct{ *logtest.Clock }

// TestFlappingDisk appends through the pipeline, as the hub does, on a disk of
// which one call in many fails, with readers beside it. What they read was
// acknowledged; what failed is never there (invariant 6).
func TestFlappingDisk(t *testing.T) {
	rng := logtest.Seeded(t, "persist/pebblelog")
	n := 400
	if testrace.On {
		n = 150
	}
	mem, clock := vfs.NewMem(), logtest.NewClock()
	inj := &flapping{rng: rand.New(rand.NewPCG(rng.Uint64(), 0))}
	l := openPebble(t, "log", pebblelog.WithFS(errorfs.Wrap(mem, inj)), pebblelog.WithClock(eager{clock}))
	inj.on.Store(true)

	var acked, failed []uint64
	type pending struct {
		wait func() error
		ids  []uint64
	}
	queue := make(chan pending, 3)
	var wg sync.WaitGroup
	wg.Go(func() {
		for p := range queue {
			if p.wait() == nil {
				acked = append(acked, p.ids...)
			} else {
				failed = append(failed, p.ids...)
			}
		}
	})
	stop := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			last := l.Last()
			if p, err := l.Read(ctx, 0, persist.Limit{Records: 1 << 20, Bytes: 1 << 30}); err == nil && p.UpTo < last {
				t.Errorf("a read after %d was acknowledged reached %d only", last, p.UpTo)
				return
			}
		}
	})
	var refused []uint64
	for id := uint64(1); id <= uint64(n); id += 2 {
		recs := logtest.Records(id, id+1)
		recs[0].Frame = logtest.Frame(id, rng.IntN(20_000))
		wait, err := l.Begin(recs)
		if err != nil {
			require.ErrorIs(t, err, persist.ErrFailed)
			require.ErrorIs(t, err, syscall.EIO)
			refused = append(refused, logtest.IDs(recs)...)
			clock.Advance(maxPause)
			continue
		}
		queue <- pending{wait, logtest.IDs(recs)}
	}
	close(queue)
	close(stop)
	wg.Wait()
	inj.on.Store(false)
	clock.Advance(maxPause)
	t.Logf("%d acknowledged, %d failed, %d refused, %d calls failed", len(acked), len(failed), len(refused), inj.count.Load())
	require.NoError(t, l.Append(ctx, logtest.Records(uint64(n)+10)))
	acked = append(acked, uint64(n)+10)
	require.Equal(t, acked, logtest.IDs(logtest.ReadAll(t, l, 0, 100)))
	require.NoError(t, l.Close())

	l = openPebble(t, "log", pebblelog.WithFS(mem))
	require.Equal(t, acked, logtest.IDs(logtest.ReadAll(t, l, 0, 100)))
	require.Equal(t, acked, logtest.IDs(logtest.QueryAll(t, l, persist.Query{Public: true}, 0, 100)))
	require.NoError(t, l.Close())
	require.NotEmpty(t, slices.Concat(failed, refused), "the disk never failed")
}

// maxPause is longer than any pause between attempts to open the log anew.
const maxPause = 10e9

// flapping lets one changing call in forty fail, and for sure the first sync after twenty.
type flapping struct {
	on    atomic.Bool
	count atomic.Int64 // calls that failed
	mu    sync.Mutex
	rng   *rand.Rand
	calls int
	sure  bool // a sync has failed
}

func (f *flapping) String() string { return "flapping" }

func (f *flapping) MaybeError(op errorfs.Op) error {
	if !f.on.Load() || op.Kind.ReadOrWrite() == errorfs.OpIsRead {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	syncs := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
	switch {
	case f.rng.IntN(40) == 0:
	case f.calls > 20 && syncs && !f.sure: // which no append survives, whatever else fails
		f.sure = true
	default:
		return nil
	}
	f.count.Add(1)
	return syscall.EIO
}

// TestDiskDies lets every changing call fail from the n-th on, for many n. What was
// acknowledged is there when the log is opened on a new disk with the old contents.
// What failed may be, if the disk took it and then did not even take its removal.
func TestDiskDies(t *testing.T) {
	rng := logtest.Seeded(t, "persist/pebblelog")
	step := int64(4)
	if testrace.On {
		step = 15
	}
	for n := rng.Int64N(step); ; n += step {
		mem := vfs.NewMem()
		var calls atomic.Int64
		h := &history{failed: make(map[uint64]bool)}
		_ = h.live(t, errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && calls.Add(1) > n {
				return syscall.EIO
			}
			return nil
		})))
		l, err := pebblelog.Open("dir/log", pebblelog.WithFS(mem))
		require.NoError(t, err)
		var got []uint64
		for _, id := range logtest.IDs(logtest.ReadAll(t, l, 0, 100)) {
			if !h.failed[id] {
				got = append(got, id)
			}
		}
		require.Equal(t, h.acked, got)
		require.NoError(t, l.Close())
		if calls.Load() <= n {
			return
		}
	}
}
