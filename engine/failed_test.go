package engine_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// The callback learns of every user that an event does not reach, and gets the
// event as it was pushed.
func TestOfflineUsersAreToldWithTheWholeEvent(t *testing.T) {
	told := newFailures()
	h := newHub(t, told.option(), engine.WithChanBufferSize(16))
	join(t, h, engine.Subscription{UID: "online", Topics: []string{"other"}}, -1)
	var want []failure
	push := func(uids []string, e wire.Event, missing ...string) {
		ids, err := h.Publish(context.Background(), uids, &e)
		require.NoError(t, err)
		e.ID = ""
		if !e.Ephemeral {
			e.ID = wire.FormatID(ids[0])
		}
		e.Users = uids
		for _, uid := range missing {
			ev := e
			want = append(want, failure{uid, &ev})
		}
	}
	push([]string{"a"}, wire.Event{Event: "order", Data: "two\nlines", Key: "k"}, "a")
	push([]string{"a", "b", "online"}, wire.Event{Event: "message", Data: ""}, "a", "b")
	push([]string{"online"}, wire.Event{Event: "message", Data: "x", Topic: "a topic"}, "online") // not followed
	push([]string{"a"}, wire.Event{Event: "tick", Data: "x", Ephemeral: true}, "a")
	push([]string{"online"}, wire.Event{Event: "message", Data: "arrives"})
	push(nil, wire.Event{Event: "message", Data: "for everyone"})
	got := told.await(len(want))
	// The ring goes round: what the callback got is its own.
	for range 100 {
		require.NoError(t, h.Push([]string{"online"}, message("later")))
	}
	settled(h)
	require.ElementsMatch(t, want, got)
	require.Len(t, told.await(0), len(want))
	require.EqualValues(t, len(want), requireSums(t, h).NoReceiver)
}

// Every kind of failure, and what it is counted as; see policy_test.go for
// those by overflow, time-out and write error.
func TestHangupAndCloseFailWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := newFailures()
		h := engine.NewHub(told.option(), engine.WithLogger(testLogger(t)))
		gone := join(t, h, engine.Subscription{UID: "gone"}, 10)
		stays := join(t, h, engine.Subscription{UID: "stays"}, 0)
		for _, data := range []string{"1", "2", "3"} {
			require.NoError(t, h.Push([]string{"gone", "stays"}, message(data)))
		}
		synctest.Wait()
		gone.sub.Hangup(nil)
		require.ErrorIs(t, gone.awaitClosed(), engine.ErrHangup)
		told.await(3)
		require.Equal(t, []string{"1", "2", "3"}, told.data(t))
		h.Close()
		require.ErrorIs(t, stays.awaitClosed(), engine.ErrClosed)
		require.Equal(t, []string{"1", "1", "2", "2", "3", "3"}, told.data(t))
		require.EqualValues(t, 6, h.Stats().Failed)
		require.Zero(t, h.Stats().Pending)
	})
}

// Callbacks run on the worker pool: one that blocks delays no delivery, and
// others run beside it, up to the pool's size.
func TestBlockedCallbackDelaysNoDelivery(t *testing.T) {
	const workers = 3
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var mu sync.Mutex
		inside, most, done := 0, 0, 0
		h := newHub(t, engine.WithWorkerNum(workers), engine.WithPushFailedHandleFn(func(string, *wire.Event) {
			mu.Lock()
			inside++
			most = max(most, inside)
			mu.Unlock()
			<-gate
			mu.Lock()
			inside--
			done++
			mu.Unlock()
		}))
		s := join(t, h, engine.Subscription{UID: "u"}, -1)
		const events = 5000
		for i := range events {
			require.NoError(t, h.Push([]string{"offline", "u"}, number(i)))
		}
		synctest.Wait()
		require.Len(t, s.ids(t), events, "delivered while all workers are blocked")
		mu.Lock()
		require.Equal(t, workers, inside)
		mu.Unlock()
		close(gate)
		synctest.Wait()
		mu.Lock()
		require.Equal(t, workers, most, "as many as WithWorkerNum says")
		require.Equal(t, events, done)
		mu.Unlock()
		require.Zero(t, h.Stats().CallbacksLost)
	})
}

// Failures that wait for a blocked callback are bounded; what is beyond is
// counted.
func TestFailuresBeyondTheBoundAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		done := 0
		h := newHub(t, engine.WithWorkerNum(1), engine.WithPushFailedHandleFn(func(string, *wire.Event) {
			<-gate
			done++
		}))
		const events = 10_000
		for i := range events {
			require.NoError(t, h.Push([]string{"offline"}, number(i)))
		}
		synctest.Wait()
		lost := h.Stats().CallbacksLost
		require.NotZero(t, lost)
		close(gate)
		synctest.Wait()
		require.EqualValues(t, events, uint64(done)+lost)
	})
}

// A callback that panics is survived, said in the log, and the next ones are
// made, also with a single worker.
func TestPanickingCallbackIsSurvived(t *testing.T) {
	for _, workers := range []int{1, 8} {
		synctest.Test(t, func(t *testing.T) {
			var out logBuffer
			told := newFailures()
			h := newHub(t, engine.WithLogger(out.logger()), engine.WithWorkerNum(workers),
				engine.WithPushFailedHandleFn(func(uid string, e *wire.Event) {
					told.add(uid, e)
					if e.Data == "7" {
						panic("callback broke")
					}
				}))
			for i := range 20 {
				require.NoError(t, h.Push([]string{"offline"}, number(i)))
			}
			synctest.Wait()
			require.Equal(t, numbers(0, 20), told.data(t))
			require.Contains(t, out.String(), "callback broke")
			require.Equal(t, 1, strings.Count(out.String(), "level=ERROR"))
		})
	}
}

// However failures and idle workers meet, none is left lying (one worker, so
// that each hand-over counts).
func TestNoFailureIsLeftLying(t *testing.T) {
	told := newFailures()
	h := newHub(t, told.option(), engine.WithWorkerNum(1))
	for i := range 3000 {
		require.NoError(t, h.Push([]string{"offline"}, number(i)))
		if i%3 == 0 {
			told.await(i + 1) // without another failure coming to its help
		}
	}
	told.await(3000)
}

// The hub can be used from a callback, and closed.
func TestCallbackMayPushAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h *engine.Hub
		ready := make(chan struct{})
		closed := make(chan struct{})
		h = engine.NewHub(engine.WithLogger(testLogger(t)), engine.WithPushFailedHandleFn(func(uid string, e *wire.Event) {
			<-ready
			if e.Data != "first" {
				return
			}
			if err := h.Push(nil, message("from the callback")); err != nil {
				t.Error(err)
			}
			h.Close()
			close(closed)
		}))
		close(ready)
		s := join(t, h, engine.Subscription{}, -1)
		start := time.Now()
		require.NoError(t, h.Push([]string{"offline"}, message("first")))
		<-closed
		require.ErrorIs(t, s.awaitClosed(), engine.ErrClosed)
		require.Equal(t, []string{"from the callback"}, s.data(t))
		require.ErrorIs(t, h.Push(nil, message("late")), engine.ErrClosed)
		require.LessOrEqual(t, time.Since(start), 15*time.Second)
		h.Close()
	})
}

// One push to very many offline users costs what its audience is large, not its
// square, and everyone is told.
func TestOfflineCrowdIsToldInLinearCost(t *testing.T) {
	const users = 10_000
	var calls atomic.Int64
	h := newHub(t, engine.WithPushFailedHandleFn(func(uid string, e *wire.Event) {
		if len(e.Users) == users && e.Data == "x" && uid != "" {
			calls.Add(1)
		}
	}))
	names := make([]string, users)
	for i := range names {
		names[i] = fmt.Sprintf("user-%05d", i)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.NoError(t, h.Push(names, message("x")))
	require.Eventually(t, func() bool { return calls.Load() == users }, time.Minute, time.Millisecond)
	runtime.ReadMemStats(&after)
	require.Zero(t, h.Stats().CallbacksLost)
	require.EqualValues(t, users, requireSums(t, h).NoReceiver)
	// The lists, and an event for each call. A list for each user was 1.6 GB.
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(users*1000))
}

// Invariant 5: what waits for callbacks is bounded by all that it holds.
func TestCrowdsThatWaitForCallbacksAreBounded(t *testing.T) {
	const users, pushes = 10_000, 300
	gate := make(chan struct{})
	var calls atomic.Uint64
	h := newHub(t, engine.WithRingBytes(1<<20), engine.WithWorkerNum(1), engine.WithPushFailedHandleFn(func(string, *wire.Event) {
		<-gate
		calls.Add(1)
	}))
	names := make([]string, users)
	for i := range names {
		names[i] = fmt.Sprintf("user-%05d", i)
	}
	before := heapInUse()
	for range pushes {
		require.NoError(t, h.Push(names, message("x")))
	}
	settled(h)
	require.Less(t, heapInUse()-before, int64(64<<20), "300 audiences alone are 90 MB")
	close(gate)
	require.Eventually(t, func() bool { return calls.Load()+h.Stats().CallbacksLost == users*pushes }, time.Minute, time.Millisecond)
	require.Eventually(t, func() bool { return engine.NoticeBytes(h) == 0 }, time.Minute, time.Millisecond)
}

// A connection whose rights are taken back within a fan-out gets nothing of it. The
// events have failed for it.
func TestWhatIsRevokedMeanwhileHasFailed(t *testing.T) {
	told := newFailures()
	h := newHub(t, engine.WithBatchWriter(nil), engine.WithShards(1), told.option()) // in a batch, the second has its write before the first's is made
	first, second := newSink(-1), newSink(-1)
	first.onSend = func([]byte) { second.sub.Revoke() }
	for _, s := range []*memSink{first, second} {
		s.mu.Lock()
		var err error
		s.sub, err = h.Subscribe(engine.Subscription{UID: "u"}, s)
		s.mu.Unlock()
		require.NoError(t, err)
	}
	settled(h)
	require.NoError(t, h.Push(nil, message("1"), message("2")))
	require.ErrorIs(t, second.awaitClosed(), engine.ErrRevoked)
	require.Empty(t, second.data(t))
	require.Equal(t, []string{"1", "2"}, first.data(t))
	st := requireSums(t, h)
	require.EqualValues(t, 4, st.Pushed)
	require.EqualValues(t, 2, st.Failed)
	told.await(2)
	h.Close()
	require.Equal(t, []string{"1", "2"}, told.data(t))
}
