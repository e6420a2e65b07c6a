package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// Invariant 9, and the promise of Shutdown: beside pushes and subscriptions
// from everywhere, each push that returned nil reached every connection that
// was there before it, and each sink is closed exactly once.
func TestCloseBesidePushesAndSubscriptions(t *testing.T) {
	for _, mode := range []string{"ring", "log", "immediate"} {
		t.Run(mode, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed(t), 0))
			for range 30 {
				closeUnderFire(t, mode, rng)
			}
		})
	}
}

func closeUnderFire(t *testing.T, mode string, rng *rand.Rand) {
	opts := []engine.HubOption{engine.WithLogger(testLogger(t)), engine.WithShards(3), engine.WithChanBufferSize(64)}
	if mode != "ring" {
		opts = append(opts, engine.WithLog(persist.NewMemory()))
	}
	if mode == "immediate" {
		opts = append(opts, engine.WithImmediateDelivery())
	}
	h := engine.NewHub(opts...)
	var before []*memSink
	for range 5 {
		before = append(before, join(t, h, engine.Subscription{}, -1))
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	acked := map[uint64]bool{}
	for p := range 3 {
		wg.Go(func() {
			for i := 0; ; i++ {
				ids, err := h.Publish(context.Background(), nil, message(fmt.Sprint(p, ".", i)))
				if errors.Is(err, engine.ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acked[ids[0]] = true
				mu.Unlock()
			}
		})
	}
	var late []*memSink
	wg.Go(func() {
		for {
			s := newSink(-1)
			s.mu.Lock()
			sub, err := h.Subscribe(engine.Subscription{}, s)
			s.sub = sub
			s.mu.Unlock()
			if err != nil {
				if !errors.Is(err, engine.ErrClosed) {
					t.Error(err)
				}
				return
			}
			late = append(late, s)
			if len(late)%7 == 0 {
				sub.Hangup(nil)
			}
		}
	})
	for range rng.IntN(200) {
		h.Stats()
	}
	for range 2 {
		wg.Go(h.Close)
	}
	h.Close()
	require.Zero(t, h.OnlineClientsNum())
	wg.Wait()
	for _, s := range before {
		require.Equal(t, engine.ErrClosed, s.awaitClosed())
		require.Equal(t, "closed", reasonTold(t, s))
		got := map[uint64]bool{}
		for _, id := range s.ids(t) {
			got[id] = true
		}
		require.Equal(t, acked, got, "exactly the acknowledged pushes were delivered")
	}
	for _, s := range late {
		require.Error(t, s.awaitClosed())
		require.Equal(t, 1, s.closed, "a sink is closed exactly once")
		s.ids(t)
	}
	st := h.Stats()
	require.EqualValues(t, len(before)+len(late), endsSum(st), "every connection ends once: %+v", st.Ends)
	require.Equal(t, st.Pushed, st.Delivered+st.Dropped+st.TimedOut+st.Failed+st.Conflated+st.NoReceiver)
	require.Zero(t, st.Pending)
	if n, counted := engine.Lent(h); counted {
		require.Zero(t, n, "every buffer is back in the pool")
	}
	require.Zero(t, engine.HeldBytes(h))
}

// Close may be called again and again, and everything else answers ErrClosed.
func TestClosedHubAnswers(t *testing.T) {
	for _, history := range histories {
		t.Run(history.name, func(t *testing.T) {
			h := newHub(t, history.opts()...)
			pushN(t, h, 3)
			h.Close()
			h.Close()
			require.NoError(t, h.Shutdown(context.Background()))
			require.ErrorIs(t, h.Push(nil, message("x")), engine.ErrClosed)
			_, err := h.PushAsync(nil, message("x"))
			require.ErrorIs(t, err, engine.ErrClosed)
			_, err = h.Publish(context.Background(), nil, message("x"))
			require.ErrorIs(t, err, engine.ErrClosed)
			_, err = h.Subscribe(engine.Subscription{}, newSink(-1))
			require.ErrorIs(t, err, engine.ErrClosed)
			require.ErrorIs(t, h.Healthy(), engine.ErrClosed)
			require.Zero(t, h.OnlineClientsNum())
			require.EqualValues(t, 3, h.Stats().Events)
			h.PrintPushStats()
		})
	}
}

// Close flushes what connections still take, and closes those that take
// nothing when its time is over; what waited for them has failed.
func TestCloseDrainsThenFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := newFailures()
		h := engine.NewHub(told.option(), engine.WithLogger(testLogger(t)))
		slow := join(t, h, engine.Subscription{UID: "slow"}, 0)
		stalled := join(t, h, engine.Subscription{UID: "stalled"}, 30)
		healthy := join(t, h, engine.Subscription{}, -1)
		push1(t, h, 0, 10)
		start := time.Now()
		done := make(chan struct{})
		go func() {
			h.Close()
			close(done)
		}()
		synctest.Wait()
		time.Sleep(time.Second)
		require.ErrorIs(t, healthy.awaitClosed(), engine.ErrClosed, "who has everything does not wait")
		require.Equal(t, 2, h.OnlineClientsNum())
		slow.allow(-1)
		require.ErrorIs(t, slow.awaitClosed(), engine.ErrClosed)
		require.Equal(t, numbers(0, 10), slow.data(t), "flushed")
		<-done
		require.InDelta(t, 5, time.Since(start).Seconds(), 0.1, "the drain time-out")
		require.ErrorIs(t, stalled.awaitClosed(), engine.ErrClosed)
		got := len(stalled.data(t))
		require.Equal(t, numbers(got, 10), told.data(t), "the rest is told")
		require.EqualValues(t, 10-got, h.Stats().Failed)
	})
}

// Shutdown's context is its deadline, and says so.
func TestShutdownEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := engine.NewHub(engine.WithLogger(testLogger(t)))
		s := join(t, h, engine.Subscription{}, 0)
		push1(t, h, 0, 1)
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		second, cancelSecond := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancelSecond()
		go func() {
			time.Sleep(50 * time.Millisecond)
			if err := h.Shutdown(second); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the second call's context ends its waiting: %v", err)
			}
		}()
		require.ErrorIs(t, h.Shutdown(ctx), context.DeadlineExceeded)
		require.ErrorIs(t, s.awaitClosed(), engine.ErrClosed)
		require.NoError(t, h.Shutdown(context.Background()))
	})
	synctest.Test(t, func(t *testing.T) { // nothing to wait for
		h := engine.NewHub(engine.WithLogger(testLogger(t)))
		s := join(t, h, engine.Subscription{}, -1)
		push1(t, h, 0, 1)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		require.NoError(t, h.Shutdown(ctx))
		require.Equal(t, []string{"0"}, s.data(t))
	})
}

// WithContext closes the hub as Close does.
func TestContextClosesTheHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		h := engine.NewHub(engine.WithContext(ctx), engine.WithLogger(testLogger(t)), engine.WithLog(persist.NewMemory()))
		s := join(t, h, engine.Subscription{}, -1)
		push1(t, h, 0, 3)
		cancel()
		require.ErrorIs(t, s.awaitClosed(), engine.ErrClosed)
		h.Close() // waits for the end
		require.ErrorIs(t, h.Push(nil, message("x")), engine.ErrClosed)
	})
	synctest.Test(t, func(t *testing.T) { // ended before
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		h := engine.NewHub(engine.WithContext(ctx), engine.WithLogger(testLogger(t)))
		synctest.Wait()
		h.Close()
		require.ErrorIs(t, h.Healthy(), engine.ErrClosed)
	})
}

// Invariant 5: connections that come and go while the log hangs leave nothing behind.
func TestConnectionsThatComeAndGoBesideALogThatHangs(t *testing.T) {
	f := newFakeLog()
	h := newHub(t, engine.WithLog(f), engine.WithShards(1))
	release := f.hold()
	pushed, err := h.PushAsync(nil, message("x"))
	require.NoError(t, err)
	stays := join(t, h, engine.Subscription{}, -1)
	for range 200 {
		s := join(t, h, engine.Subscription{}, -1)
		s.sub.Hangup(nil)
		s.awaitClosed()
	}
	require.LessOrEqual(t, engine.Early(h), 4)
	release()
	_, err = pushed.Wait(context.Background())
	require.NoError(t, err)
	require.NoError(t, h.Push(nil, message("y")))
	stays.awaitText("data: y\n")
}

// A log that hangs holds up neither Close, beyond its deadline, nor the pushes
// that wait for it or for room in the ring.
func TestCloseBesideALogThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out logBuffer
		f := newFakeLog()
		h := engine.NewHub(engine.WithLog(f), engine.WithChanBufferSize(16), engine.WithLogger(out.logger()))
		s := join(t, h, engine.Subscription{}, -1)
		release := f.hold()
		var refused atomic.Int32
		for range 40 { // 16 of them fill the ring
			go func() {
				if err := h.Push(nil, message("x")); errors.Is(err, engine.ErrClosed) {
					refused.Add(1)
				} else {
					t.Error(err)
				}
			}()
		}
		synctest.Wait()
		require.EqualValues(t, 40, engine.Pushers(h))
		start := time.Now()
		h.Close()
		require.InDelta(t, 6, time.Since(start).Seconds(), 0.1, "the drain time-out, and a second of grace")
		synctest.Wait()
		require.EqualValues(t, 40, refused.Load())
		require.ErrorIs(t, s.awaitClosed(), engine.ErrClosed)
		require.Empty(t, s.data(t))
		require.Contains(t, out.String(), "did not return in time")
		release() // and the goroutines that it held end, or the bubble fails
		require.NoError(t, h.Shutdown(context.Background()))
	})
}

// Publishers that push on although they are refused do not keep Close waiting.
func TestCloseBesidePublishersThatDoNotStop(t *testing.T) {
	h := engine.NewHub(engine.WithLogger(testLogger(t)), engine.WithDrainTimeout(time.Hour))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = h.Push(nil, message("x"))
				}
			}
		})
	}
	h.Close()
	close(stop)
	wg.Wait()
}

// What was pushed without waiting is settled by Close, and a connection that
// reads the log can resume from the next hub over the same log.
func TestCloseSettlesAndNextHubResumes(t *testing.T) {
	log := keptLog()
	opts := []engine.HubOption{engine.WithLog(log), engine.WithEnableResendEvents(),
		engine.WithChanBufferSize(64), engine.WithLogger(testLogger(t)), engine.WithDrainTimeout(50 * time.Millisecond)}
	h := engine.NewHub(opts...)
	start := h.LastID()
	s := join(t, h, engine.Subscription{StallTimeout: -1}, 500)
	var results []*engine.Result
	for i := range 500 {
		r, err := h.PushAsync(nil, number(i))
		require.NoError(t, err)
		results = append(results, r)
	}
	settled(h)
	require.Equal(t, "behind", engine.StateOf(h, s.sub))
	h.Close()
	for i, r := range results {
		ids, err := r.Wait(context.Background())
		require.NoError(t, err)
		require.Equal(t, []uint64{start + 1 + uint64(i)}, ids)
	}
	require.ErrorIs(t, s.awaitClosed(), engine.ErrClosed)
	got := s.ids(t)
	last := got[len(got)-1]

	next := newHub(t, opts...)
	require.GreaterOrEqual(t, next.LastID(), start+500, "IDs increase")
	resumed := join(t, next, engine.Subscription{LastEventID: wire.FormatID(last)}, -1)
	pushN(t, next, 1)
	resumed.awaitText("\ndata: 0\n")
	require.Zero(t, resumed.gaps(t))
	require.Equal(t, append(s.data(t), resumed.data(t)...), append(numbers(0, 500), "0"))
}
