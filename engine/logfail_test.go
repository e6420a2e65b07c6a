package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// eachFaulty runs the test with a log that fails in one step, and with one
// that fails in either of two.
func eachFaulty(t *testing.T, fn func(t *testing.T, log persist.Log, f *fakeLog, take int)) {
	for _, kind := range []struct {
		name string
		pipe bool
		take int
	}{
		{"append", false, 0}, {"wait", true, 0}, {"begin", true, -1},
	} {
		t.Run(kind.name, func(t *testing.T) {
			if kind.pipe {
				p := pipedLog{newFakeLog()}
				fn(t, p, p.fakeLog, kind.take)
			} else {
				l := newFakeLog()
				fn(t, l, l, kind.take)
			}
		})
	}
}

// Invariant 6: what the log did not take, nobody receives, live, by resume or
// when catching up; the push says so, and so does Healthy, until it works again.
func TestNobodyReceivesWhatTheLogDidNotTake(t *testing.T) {
	eachFaulty(t, func(t *testing.T, log persist.Log, f *fakeLog, take int) {
		var out logBuffer
		told := newFailures()
		h := newHub(t, engine.WithLog(log), engine.WithEnableResendEvents(), engine.WithChanBufferSize(16),
			engine.WithLogger(out.logger()), told.option())
		start := wire.FormatID(h.LastID())
		live := join(t, h, engine.Subscription{UID: "u"}, -1)
		slow := join(t, h, engine.Subscription{UID: "u"}, 10)
		var want []uint64
		last := uint64(0)
		for i := range 120 {
			fails := i%3 == 1
			if fails {
				f.set(errDisk, take)
			}
			ids, err := h.Publish(context.Background(), []string{"u"}, number(i), number(i))
			f.set(nil, 0)
			if fails {
				require.ErrorIs(t, err, engine.ErrLog)
				require.ErrorIs(t, err, errDisk)
				require.Empty(t, ids)
				require.ErrorIs(t, h.Healthy(), engine.ErrLog)
				require.ErrorIs(t, h.Healthy(), errDisk)
				continue
			}
			require.NoError(t, err)
			require.NoError(t, h.Healthy(), "healthy again")
			require.Greater(t, ids[0], last, "IDs increase over failures")
			last = ids[1]
			want = append(want, ids...)
		}
		settled(h)
		require.Equal(t, want, live.ids(t))
		for _, from := range []string{start, wire.FormatID(want[len(want)-5])} {
			resumed := join(t, h, engine.Subscription{UID: "u", LastEventID: from}, -1)
			settled(h)
			require.Zero(t, resumed.gaps(t))
			require.Equal(t, want[len(want)-len(resumed.ids(t)):], resumed.ids(t))
		}
		slow.allow(-1)
		st := requireSums(t, h)
		require.Equal(t, want, slow.ids(t))
		require.EqualValues(t, 80, st.LogFailed)
		require.EqualValues(t, 2*len(want), st.Pushed, "an event that failed was pushed to nobody")
		require.Empty(t, told.data(t), "the pusher was told already")
		require.Contains(t, out.String(), "the log does not take events")
		require.Contains(t, out.String(), "the log takes events again")
	})
}

// A failed event between two others is a hole in the IDs, not a gap: clients
// that hold the ID before it resume.
func TestResumeOverFailedEvents(t *testing.T) {
	eachFaulty(t, func(t *testing.T, log persist.Log, f *fakeLog, take int) {
		h := newHub(t, engine.WithLog(log), engine.WithEnableResendEvents(), engine.WithChanBufferSize(16))
		first := pushN(t, h, 1)
		f.set(errDisk, take)
		for range 30 { // beyond the window
			require.Error(t, h.Push(nil, message("never")))
		}
		f.set(nil, 0)
		check := func(want []uint64) {
			s := join(t, h, engine.Subscription{LastEventID: wire.FormatID(first[0])}, -1)
			settled(h)
			require.Zero(t, s.gaps(t))
			require.Equal(t, want, s.ids(t))
		}
		check(nil)
		check(nil)
		after := pushN(t, h, 3)
		check(after)
	})
}

// A log that keeps a part of a batch: the part is delivered, the rest is not,
// and its pushes fail.
func TestPartlyTakenBatch(t *testing.T) {
	f := newFakeLog()
	h := newHub(t, engine.WithLog(f), engine.WithEnableResendEvents())
	start := wire.FormatID(h.LastID())
	s := join(t, h, engine.Subscription{}, -1)
	ids := pushN(t, h, 1)
	f.set(errDisk, 2)
	err := h.Push(nil, message("kept 1"), &wire.Event{Data: "fleeting", Ephemeral: true}, message("kept 2"), message("lost"))
	require.ErrorIs(t, err, errDisk)
	require.ErrorIs(t, h.Healthy(), errDisk)
	f.set(nil, 0)
	require.NoError(t, h.Push(nil, message("end")))
	s.awaitText("end")
	require.Equal(t, []string{"0", "kept 1", "kept 2", "end"}, s.data(t), "what is kept would be resent; nobody asks for the rest")
	resumed := join(t, h, engine.Subscription{LastEventID: start}, -1)
	resumed.awaitText("end")
	require.Equal(t, []string{"0", "kept 1", "kept 2", "end"}, resumed.data(t))
	require.Equal(t, ids[0], resumed.ids(t)[0])
	require.EqualValues(t, 2, h.Stats().LogFailed)
}

// Several pushes share a batch: each gets its own verdict, after it is decided,
// and PushAsync the same as Push.
func TestConcurrentPushesShareTheVerdict(t *testing.T) {
	eachFaulty(t, func(t *testing.T, log persist.Log, f *fakeLog, take int) {
		h := newHub(t, engine.WithLog(log))
		s := join(t, h, engine.Subscription{}, -1)
		rng := rand.New(rand.NewPCG(seed(t), 1))
		var wg sync.WaitGroup
		var mu sync.Mutex
		acked := map[string]bool{}
		for p := range 8 {
			wg.Go(func() {
				for i := range 100 {
					data := fmt.Sprint(p, ".", i, ".")
					var err error
					if p%2 == 0 {
						err = h.Push(nil, message(data))
					} else {
						r, e := h.PushAsync(nil, message(data))
						if e != nil {
							t.Error(e)
							return
						}
						_, err = r.Wait(context.Background())
					}
					if err != nil && !errors.Is(err, engine.ErrLog) {
						t.Error(err)
					}
					mu.Lock()
					acked[data] = err == nil
					mu.Unlock()
				}
			})
		}
		stop := make(chan struct{})
		go func() { wg.Wait(); close(stop) }()
		for on := true; on; {
			select {
			case <-stop:
				on = false
			default:
				if rng.IntN(2) == 0 {
					f.set(errDisk, take)
				} else {
					f.set(nil, 0)
				}
				h.Stats() // something to do between
			}
		}
		f.set(nil, 0)
		require.NoError(t, h.Push(nil, message("end")))
		s.awaitText("end")
		got := map[string]bool{}
		for _, data := range s.data(t) {
			require.False(t, got[data], "%s came twice", data)
			got[data] = true
		}
		for data, ok := range acked {
			require.Equal(t, ok, got[data], "%s: received exactly if its push returned nil", data)
		}
	})
}

// With immediate delivery connections have the event before the log, and keep
// it although the log fails; the push says so.
func TestImmediateDeliveryDoesNotWaitForTheLog(t *testing.T) {
	f := newFakeLog()
	h := newHub(t, engine.WithLog(f), engine.WithImmediateDelivery())
	s := join(t, h, engine.Subscription{}, -1)
	release := f.hold()
	f.set(errDisk, 0)
	r, err := h.PushAsync(nil, message("early"))
	require.NoError(t, err)
	s.awaitText("early")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = r.Wait(ctx)
	require.ErrorIs(t, err, context.Canceled, "not decided yet")
	release()
	_, err = r.Wait(context.Background())
	require.ErrorIs(t, err, errDisk)
}

// Beside a log that is slow, a connection that is behind waits for the clock:
// it asks neither log nor reader in a loop, and gets everything in the end.
func TestImmediateDeliveryAheadOfASlowLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeLog()
		h := newHub(t, engine.WithLog(f), engine.WithImmediateDelivery(), engine.WithChanBufferSize(64))
		s := join(t, h, engine.Subscription{}, 0)
		release := f.hold()
		var results []*engine.Result
		for i := range 60 {
			r, err := h.PushAsync(nil, number(i))
			require.NoError(t, err)
			results = append(results, r)
			synctest.Wait()
		}
		s.allow(-1)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.LessOrEqual(t, f.reads.Load(), int32(60), "asked at the pace of the clock")
		release()
		for _, r := range results {
			_, err := r.Wait(context.Background())
			require.NoError(t, err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, numbers(0, 60), s.data(t))
		require.Zero(t, s.gaps(t))
		require.Equal(t, "live", engine.StateOf(h, s.sub))
		requireSums(t, h)
	})
}

// A publisher that gives up waiting for the log leaves its events to it.
func TestPublishGivesUpWaiting(t *testing.T) {
	f := newFakeLog()
	h := newHub(t, engine.WithLog(f))
	s := join(t, h, engine.Subscription{}, -1)
	release := f.hold()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		_, err := h.Publish(ctx, nil, message("one"))
		done <- err
	}()
	for h.Stats().RingUsed == 0 { // until it waits for the log
		_ = h.Stats()
	}
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	release()
	s.awaitText("one")
	require.NoError(t, h.Push(nil, message("two")), "the next push gets its own verdict")
	s.awaitText("two")
	require.Equal(t, []string{"one", "two"}, s.data(t))
}

// A log that cannot be read is tried again, and then the connection is closed
// with ErrHistory: the client resumes when it comes back.
func TestHistoryThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeLog()
		unreadable := f.refuseReads()
		h := newHub(t, engine.WithLog(f), engine.WithEnableResendEvents(), engine.WithChanBufferSize(16),
			engine.WithLogger(new(logBuffer).logger()))
		ids := pushN(t, h, 100)
		unreadable.Store(true)
		s := join(t, h, engine.Subscription{LastEventID: wire.FormatID(ids[10])}, -1)
		patient := join(t, h, engine.Subscription{LastEventID: wire.FormatID(ids[20])}, -1)
		time.Sleep(4 * time.Second)
		synctest.Wait()
		require.Equal(t, 2, h.OnlineClientsNum(), "tried again for a while")
		unreadable.Store(false)
		patient.sub.Writable()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Equal(t, ids[21:], patient.ids(t), "and served as soon as the log can be read")
		require.Equal(t, ids[11:], s.ids(t))

		unreadable.Store(true)
		s = join(t, h, engine.Subscription{LastEventID: wire.FormatID(ids[5])}, -1) // before the pages read by now
		time.Sleep(time.Minute)
		synctest.Wait()
		require.ErrorIs(t, s.awaitClosed(), engine.ErrHistory)
		require.LessOrEqual(t, f.reads.Load(), int32(30))
		require.Equal(t, 2, h.OnlineClientsNum())
	})
}

// All events of a push are published or none: an ephemeral event goes the way of
// those that the log was to take.
func TestEphemeralEventsFailWithTheirPush(t *testing.T) {
	fleeting := func(data string) *wire.Event { return &wire.Event{Data: data, Ephemeral: true} }
	eachFaulty(t, func(t *testing.T, log persist.Log, f *fakeLog, take int) {
		h := newHub(t, engine.WithLog(log))
		s := join(t, h, engine.Subscription{}, -1)
		f.set(errDisk, take)
		require.ErrorIs(t, h.Push(nil, fleeting("before"), message("never"), fleeting("after")), engine.ErrLog)
		require.NoError(t, h.Push(nil, fleeting("alone")), "no log is asked")
		f.set(nil, 0)
		require.NoError(t, h.Push(nil, fleeting("with"), message("kept")))
		s.awaitText("kept")
		require.Equal(t, []string{"alone", "with", "kept"}, s.data(t))
		require.EqualValues(t, 3, requireSums(t, h).LogFailed)
	})
}
