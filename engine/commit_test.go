package engine_test

import (
	"context"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
)

// Where the log does not wait for a disk, publishers commit for each other: one
// append at a time, each push decided, and the log has exactly the IDs that were
// given, in order, whichever way they were pushed.
func TestPublishersCommitForEachOther(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("SPATETEST_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("replay with: SPATETEST_SEED=%d go test -run '^%s$' ./engine", seed, t.Name())
	log := toldLog{newFakeLog(), false}
	h := engine.NewHub(engine.WithLog(log), engine.WithLogger(testLogger(t)), engine.WithChanBufferSize(256))
	s := join(t, h, engine.Subscription{}, -1)
	given := make([][]uint64, 16)
	var wg sync.WaitGroup
	for p := range given {
		rng := rand.New(rand.NewPCG(seed, uint64(p)))
		wg.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			for range 300 {
				events := slices.Repeat([]*wire.Event{message("x")}, 1+rng.IntN(3))
				var ids []uint64
				var err error
				switch rng.IntN(3) {
				case 0:
					ids, err = h.Publish(context.Background(), nil, events...) // may commit
				case 1:
					ids, err = h.Publish(ctx, nil, events...) // can be interrupted, so it does not
				default:
					var r *engine.Result
					if r, err = h.PushAsync(nil, events...); err == nil {
						ids, err = r.Wait(ctx)
					}
				}
				if err != nil {
					t.Error(err)
				}
				given[p] = append(given[p], ids...)
			}
		})
	}
	wg.Wait()
	all := slices.Concat(given...)
	slices.Sort(all)
	require.Equal(t, all, log.ids(t))
	h.Close()
	require.ErrorIs(t, s.awaitClosed(), engine.ErrClosed)
	require.False(t, log.overlap.Load(), "two appends at once")
	require.Equal(t, all, s.ids(t))
}

// Close ends the wait of publishers whose event somebody else is committing, be
// it a publisher that the log holds, and of those who asked for the result.
func TestCloseBesideAPublisherThatTheLogHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := toldLog{newFakeLog(), false}
		h := engine.NewHub(engine.WithLog(log), engine.WithLogger(testLogger(t)))
		release := log.hold()
		held := make(chan error, 1)
		go func() { held <- h.Push(nil, message("commits")) }()
		synctest.Wait()
		var refused atomic.Int32
		expect := func(err error) {
			if err == engine.ErrClosed {
				refused.Add(1)
			} else {
				t.Error(err)
			}
		}
		for range 10 {
			go func() { expect(h.Push(nil, message("waits"))) }()
		}
		r, err := h.PushAsync(nil, message("waits"))
		require.NoError(t, err)
		go func() {
			_, err := r.Wait(context.Background())
			expect(err)
		}()
		synctest.Wait()
		h.Close()
		synctest.Wait()
		require.EqualValues(t, 11, refused.Load())
		release()
		<-held
		require.NoError(t, h.Shutdown(context.Background()))
	})
}

// The publishers of a small crowd share one sync: while the disk works on a batch,
// those who are too few to build another one beside it wait for it.
func TestASmallCrowdSharesASync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newDiskLog()
		h := engine.NewHub(engine.WithLog(log), engine.WithLogger(testLogger(t)))
		for range 64 {
			go func() {
				for range 50 {
					if err := h.Push(nil, message("x")); err != nil {
						t.Error(err)
					}
				}
			}()
		}
		for sync := time.Tick(time.Millisecond); len(log.ids(t)) < 64*50; {
			<-sync
		}
		require.LessOrEqual(t, log.most.Load(), int32(1), "batches on their way at once")
		h.Close()
	})
}

// Shutdown ends beside publishers that push on to a log without sync, also when it
// is cut short: what was claimed too late to be waited for is committed all the
// same.
func TestShutdownCutShortBesidePublishers(t *testing.T) {
	for range 200 {
		h := engine.NewHub(engine.WithLog(persist.NewMemory()), engine.WithLogger(testLogger(t)))
		start := h.LastID()
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				for h.Push(nil, message("x")) == nil {
				}
			})
		}
		for h.LastID() < start+100 {
			runtime.Gosched()
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = h.Shutdown(ctx)
		ctx, cancel = context.WithTimeout(context.Background(), 10*time.Second)
		require.NoError(t, h.Shutdown(ctx), "the hub never ends")
		cancel()
		wg.Wait()
	}
}

// With immediate delivery, Close waits for the log: what was pushed is kept, and
// who asks is told so.
func TestCloseWaitsForTheLogBehindImmediateDelivery(t *testing.T) {
	for _, sync := range []bool{false, true} {
		for range 50 {
			log := toldLog{newFakeLog(), sync}
			h := engine.NewHub(engine.WithLog(log), engine.WithImmediateDelivery(), engine.WithLogger(testLogger(t)))
			r, err := h.PushAsync(nil, message("x"))
			require.NoError(t, err)
			h.Close()
			ids, err := r.Wait(context.Background())
			require.NoError(t, err)
			require.Equal(t, ids[0], log.Last())
		}
	}
}

// An event waits for the sync that is under way, and for its own: what comes while
// a batch waits to be begun is in it.
func TestAnEventWaitsForTwoSyncsAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := engine.NewHub(engine.WithLog(newDiskLog()), engine.WithLogger(testLogger(t)))
		defer h.Close()
		var wg sync.WaitGroup
		for range 100 {
			start := time.Now()
			r, err := h.PushAsync(nil, message("x"))
			require.NoError(t, err)
			wg.Go(func() {
				if _, err := r.Wait(context.Background()); err != nil {
					t.Error(err)
				}
				if took := time.Since(start); took > 2*time.Millisecond {
					t.Errorf("%v for syncs of a millisecond", took)
				}
			})
			<-time.After(100 * time.Microsecond)
		}
		wg.Wait()
	})
}

// A resume brings no ephemeral events back, also on a shard that nobody woke for
// them, as it had no connections.
func TestResumeOnAShardThatNobodyWoke(t *testing.T) {
	h := newHub(t, engine.WithLog(persist.NewMemory()), engine.WithEnableResendEvents(), engine.WithShards(8))
	start := wire.FormatID(h.LastID())
	require.NoError(t, h.Push(nil, message("1"), &wire.Event{Data: "fleeting", Ephemeral: true}, message("2")))
	for range 8 {
		s := join(t, h, engine.Subscription{LastEventID: start}, -1)
		s.awaitText("2")
		require.Equal(t, []string{"1", "2"}, s.data(t))
	}
}
