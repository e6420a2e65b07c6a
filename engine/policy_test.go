package engine_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/stretchr/testify/require"
)

// withPolicy runs the test in a bubble with the policy set for the hub, and
// with it set for the connection. The ring has 64 slots, so the queue 16.
func withPolicy(t *testing.T, p engine.Policy, fn func(t *testing.T, h *engine.Hub, s *memSink, told *failures), opts ...engine.HubOption) {
	for _, where := range []string{"hub", "connection"} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				told := newFailures()
				all := append([]engine.HubOption{engine.WithChanBufferSize(64), told.option()}, opts...)
				sub := engine.Subscription{UID: "u", StallTimeout: -1}
				if where == "hub" {
					all = append(all, engine.WithPolicy(p))
				} else {
					sub.Policy = p
					if p != engine.PolicyDisconnect {
						all = append(all, engine.WithPolicy(engine.PolicyDisconnect))
					}
				}
				h := newHub(t, all...)
				require.Equal(t, 16, engine.QueueLen(h))
				fn(t, h, join(t, h, sub, 0), told)
			})
		})
	}
}

// push1 pushes the events from..to-1 one by one, each seen by the shard by
// itself.
func push1(t testing.TB, h *engine.Hub, from, to int) {
	for i := from; i < to; i++ {
		require.NoError(t, h.Push(nil, number(i)))
		synctest.Wait()
	}
}

func numbers(from, to int) (out []string) {
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

// PolicyRetry: what finds the queue full is tried until the push time-out,
// then counted, told to the callback, and to the client as a gap.
func TestRetryTimesOutAfterTries(t *testing.T) {
	withPolicy(t, engine.PolicyRetry, func(t *testing.T, h *engine.Hub, s *memSink, told *failures) {
		var tried atomic.Int32
		s.onSend = func([]byte) { tried.Add(1) }
		first := h.LastID() + 1
		push1(t, h, 0, 17) // the last one finds the queue full
		require.EqualValues(t, 1, tried.Load(), "a full sink is left alone")
		time.Sleep(4900 * time.Millisecond)
		synctest.Wait()
		require.Zero(t, h.Stats().TimedOut)
		require.EqualValues(t, 17, h.Stats().Pending)
		time.Sleep(400 * time.Millisecond) // the clock's grain
		synctest.Wait()
		require.EqualValues(t, 1+3, tried.Load(), "three tries")
		require.EqualValues(t, 1, h.Stats().TimedOut)
		require.Equal(t, []string{"16"}, told.data(t))

		push1(t, h, 17, 20) // these wait for their own time-out
		time.Sleep(4 * time.Second)
		synctest.Wait()
		require.EqualValues(t, 1, h.Stats().TimedOut)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		require.EqualValues(t, 4, h.Stats().TimedOut)
		require.Equal(t, numbers(16, 20), told.data(t))
		requireSums(t, h)

		s.allow(-1)
		synctest.Wait()
		push1(t, h, 20, 22)
		require.Equal(t, append(numbers(0, 16), numbers(20, 22)...), s.data(t))
		require.Equal(t, []gap{{first + 15, first + 19}}, gapsOf(t, s), "exactly what timed out")
		requireGapsTell(t, s, first, first+21)
		require.Zero(t, requireSums(t, h).Pending)
	})
}

// A try is a real one: a sink that has room again, and does not say so, gets
// what waits within one try, and nothing is lost.
func TestRetryDeliversWithoutBeingToldOfRoom(t *testing.T) {
	withPolicy(t, engine.PolicyRetry, func(t *testing.T, h *engine.Hub, s *memSink, told *failures) {
		push1(t, h, 0, 20)
		s.mu.Lock()
		s.room = -1
		s.mu.Unlock()
		time.Sleep(1800 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, numbers(0, 20), s.data(t))
		require.Zero(t, s.gaps(t))
		st := requireSums(t, h)
		require.Zero(t, st.TimedOut+st.Pending)
		require.Empty(t, told.data(t))
	})
}

// The time-out and the number of tries can be set.
func TestRetrySettings(t *testing.T) {
	withPolicy(t, engine.PolicyRetry, func(t *testing.T, h *engine.Hub, s *memSink, told *failures) {
		var tried atomic.Int32
		s.onSend = func([]byte) { tried.Add(1) }
		push1(t, h, 0, 17)
		time.Sleep(970 * time.Millisecond)
		synctest.Wait()
		require.Empty(t, told.data(t))
		time.Sleep(60 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, []string{"16"}, told.data(t))
		require.EqualValues(t, 1+10, tried.Load())
	}, engine.WithPushTimeout(time.Second, 10))
}

// Under PolicyRetry the window passes a stalled connection on, whatever it
// still tries: each event is lost once, and the gap tells all of them.
func TestRetryBesideTheWindow(t *testing.T) {
	withPolicy(t, engine.PolicyRetry, func(t *testing.T, h *engine.Hub, s *memSink, told *failures) {
		first := h.LastID() + 1
		for i := range 30 {
			push1(t, h, i*10, i*10+10)
			time.Sleep(700 * time.Millisecond)
			synctest.Wait()
			requireSums(t, h)
		}
		st := requireSums(t, h)
		require.NotZero(t, st.Dropped)
		require.LessOrEqual(t, st.Pending, uint64(32))
		s.allow(-1)
		synctest.Wait()
		st = requireSums(t, h)
		require.Zero(t, st.Pending)
		got := s.data(t)
		require.EqualValues(t, len(got), st.Delivered)
		require.ElementsMatch(t, numbers(0, 300), append(told.data(t), got...), "each event arrives or is told as failed, once")
		push1(t, h, 300, 301)
		requireGapsTell(t, s, first, first+300)
	})
}

// PolicyDropOldest: the older half of the queue goes at once; the gap names
// exactly what was lost.
func TestDropOldestTellsExactlyWhatWasLost(t *testing.T) {
	withPolicy(t, engine.PolicyDropOldest, func(t *testing.T, h *engine.Hub, s *memSink, told *failures) {
		first := h.LastID() + 1
		push1(t, h, 0, 16)
		require.Empty(t, told.data(t))
		push1(t, h, 16, 17)
		st := requireSums(t, h)
		require.EqualValues(t, 9, st.Dropped)
		require.EqualValues(t, 8, st.Pending)
		require.Equal(t, numbers(0, 9), told.data(t))
		push1(t, h, 17, 40)
		lost := int(requireSums(t, h).Dropped)
		s.allow(-1)
		synctest.Wait()
		push1(t, h, 40, 42)
		require.Equal(t, numbers(lost, 42), s.data(t))
		require.Equal(t, []gap{{first - 1, first + uint64(lost) - 1}}, gapsOf(t, s), "one gap for all that was lost in a row")
		requireGapsTell(t, s, first, first+41)
		require.Equal(t, numbers(0, lost), told.data(t))
		require.Zero(t, requireSums(t, h).Pending)
	})
}

// A frame that is on its way is completed before the gap is told, and counts
// as delivered.
func TestDropOldestCompletesTheFrameUnderWay(t *testing.T) {
	withPolicy(t, engine.PolicyDropOldest, func(t *testing.T, h *engine.Hub, s *memSink, told *failures) {
		first := h.LastID() + 1
		s.allow(10)
		push1(t, h, 0, 60)
		requireSums(t, h)
		s.allow(-1)
		synctest.Wait()
		require.Equal(t, "0", s.data(t)[0])
		lost := int(requireSums(t, h).Dropped)
		require.Equal(t, numbers(1, lost+1), told.data(t))
		require.Equal(t, []gap{{first, first + uint64(lost)}}, gapsOf(t, s))
		requireGapsTell(t, s, first, first+59)
	})
}

// What is resent is in no queue: a stretch of it that is on its way makes nobody's queue
// longer than its bound.
func TestDropOldestBesideWhatIsResent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, withCodings(), engine.WithShards(1), engine.WithChanBufferSize(128), engine.WithEnableResendEvents(),
			engine.WithPolicy(engine.PolicyDropOldest))
		queue := engine.QueueLen(h)
		push1(t, h, 0, queue)
		s := join(t, h, engine.Subscription{UID: "u", LastEventID: engine.Earliest, Encoding: "zstd", StallTimeout: -1}, 5)
		synctest.Wait()
		for i := range 3 * queue {
			push1(t, h, queue+i, queue+i+1)
			require.LessOrEqual(t, requireSums(t, h).Pending, uint64(queue))
		}
		require.NoError(t, engine.Audit(h))
		s.allow(-1)
		synctest.Wait()
		require.Equal(t, numbers(0, queue), s.data(t)[:queue])
		require.Zero(t, requireSums(t, h).Pending)
	})
}

// The queue is bounded in bytes, too.
func TestQueueIsBoundedInBytes(t *testing.T) {
	withPolicy(t, engine.PolicyDropOldest, func(t *testing.T, h *engine.Hub, s *memSink, told *failures) {
		big := strings.Repeat("x", 500)
		for range 8 {
			require.NoError(t, h.Push(nil, message(big)))
			synctest.Wait()
		}
		st := requireSums(t, h)
		require.LessOrEqual(t, st.Pending, uint64(3), "2000 bytes")
		require.EqualValues(t, 8, st.Pending+st.Dropped)
	}, engine.WithQueueBytes(2000))
}

// PolicyDisconnect: the connection ends with ErrOverflow; what waited has failed.
func TestDisconnectClosesWithErrOverflow(t *testing.T) {
	withPolicy(t, engine.PolicyDisconnect, func(t *testing.T, h *engine.Hub, s *memSink, told *failures) {
		push1(t, h, 0, 16)
		require.Equal(t, 1, h.OnlineClientsNum())
		push1(t, h, 16, 17)
		require.ErrorIs(t, s.awaitClosed(), engine.ErrOverflow)
		require.Zero(t, h.OnlineClientsNum())
		require.Equal(t, numbers(0, 17), told.data(t))
		st := requireSums(t, h)
		require.EqualValues(t, 17, st.Failed)
		require.Zero(t, st.Pending)
	})
}

// PolicyCatchUp: nothing is lost, and the callback has nothing to tell.
func TestCatchUpLosesNothing(t *testing.T) {
	log := func() engine.HubOption { return engine.WithLog(persist.NewMemory()) }
	for _, p := range []engine.Policy{engine.PolicyCatchUp, engine.PolicyDefault} {
		synctest.Test(t, func(t *testing.T) {
			told := newFailures()
			h := newHub(t, log(), told.option(), engine.WithPolicy(p), engine.WithChanBufferSize(64))
			s := join(t, h, engine.Subscription{UID: "u", StallTimeout: -1}, 10)
			push1(t, h, 0, 16)
			require.Equal(t, "lagging", engine.StateOf(h, s.sub))
			push1(t, h, 16, 18)
			require.Equal(t, "behind", engine.StateOf(h, s.sub))
			push1(t, h, 18, 500)
			st := requireSums(t, h)
			require.EqualValues(t, 1, st.Behind)
			s.allow(-1)
			synctest.Wait()
			require.Equal(t, numbers(0, 500), s.data(t))
			require.Zero(t, s.gaps(t))
			require.Empty(t, told.data(t))
			st = requireSums(t, h)
			require.EqualValues(t, 500, st.Delivered)
			require.Zero(t, st.Pending+st.Dropped)
			require.Equal(t, "live", engine.StateOf(h, s.sub))
		})
	}
}

// Without a log PolicyCatchUp is PolicyRetry.
func TestCatchUpWithoutLogRetries(t *testing.T) {
	withPolicy(t, engine.PolicyCatchUp, func(t *testing.T, h *engine.Hub, s *memSink, told *failures) {
		push1(t, h, 0, 20)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.EqualValues(t, 4, requireSums(t, h).TimedOut)
		require.Equal(t, numbers(16, 20), told.data(t))
	})
}

// A policy that does not exist is the hub's.
func TestUnknownPolicyOfAConnectionIsTheHubs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, engine.WithPolicy(engine.PolicyDisconnect), engine.WithChanBufferSize(64))
		s := join(t, h, engine.Subscription{Policy: 77}, 0)
		push1(t, h, 0, 17)
		require.ErrorIs(t, s.awaitClosed(), engine.ErrOverflow)
	})
}

// A connection that accepts no byte is closed after the stall time-out, whatever
// its policy; one that accepts some is not.
func TestStalledConnectionIsClosed(t *testing.T) {
	for _, p := range []engine.Policy{engine.PolicyCatchUp, engine.PolicyRetry, engine.PolicyDropOldest} {
		for _, withLog := range []bool{false, true} {
			for _, room := range []int{0, 5} {
				t.Run(fmt.Sprintf("%v, log %v, room %d", p, withLog, room), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						var opts []engine.HubOption
						if withLog {
							opts = append(opts, engine.WithLog(persist.NewMemory()))
						}
						h := newHub(t, append(opts, engine.WithPolicy(p), engine.WithChanBufferSize(64))...)
						stalledIsClosed(t, h, room)
					})
				})
			}
		}
	}
}

func stalledIsClosed(t *testing.T, h *engine.Hub, room int) {
	stalled := join(t, h, engine.Subscription{UID: "u"}, room)
	slow := join(t, h, engine.Subscription{}, room)
	short := join(t, h, engine.Subscription{StallTimeout: 10 * time.Second}, room)
	never := join(t, h, engine.Subscription{StallTimeout: -1}, room)
	forEver := join(t, h, engine.Subscription{StallTimeout: math.MaxInt64}, room)
	idle := join(t, h, engine.Subscription{}, -1)
	push1(t, h, 0, 40)
	isClosed := func(s *memSink) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.closed > 0
	}
	for sec := 1; sec <= 200; sec++ {
		time.Sleep(time.Second)
		synctest.Wait()
		stalled.sub.Writable() // not true, and no sign of life
		if sec%50 == 0 {
			slow.allow(1)
		}
		synctest.Wait()
		require.Equal(t, sec >= 60, isClosed(stalled), "after %d s", sec)
		require.Equal(t, sec >= 10, isClosed(short), "after %d s", sec)
		require.False(t, isClosed(slow) || isClosed(never) || isClosed(forEver) || isClosed(idle), "after %d s", sec)
	}
	require.ErrorIs(t, stalled.awaitClosed(), engine.ErrStalled)
	require.ErrorIs(t, short.awaitClosed(), engine.ErrStalled)
	requireSums(t, h)
}

// A connection with nothing to take never stalls.
func TestIdleConnectionDoesNotStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, engine.WithHeartbeat(-1))
		s := join(t, h, engine.Subscription{StallTimeout: time.Second}, -1)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, 1, h.OnlineClientsNum())
		push1(t, h, 0, 1)
		require.Equal(t, []string{"0"}, s.data(t))
	})
}

// A write error ends the connection with that error, wherever it happens.
func TestWriteErrorEndsTheConnection(t *testing.T) {
	broken := errors.New("broken pipe")
	for _, when := range []string{"live", "rest", "lagging", "heartbeat"} {
		t.Run(when, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				told := newFailures()
				h := newHub(t, told.option(), engine.WithChanBufferSize(64))
				room := map[string]int{"live": -1, "rest": 5, "lagging": 0, "heartbeat": -1}[when]
				s := join(t, h, engine.Subscription{UID: "u"}, room)
				if when == "rest" || when == "lagging" {
					push1(t, h, 0, 3)
				}
				s.failWith(broken)
				switch when {
				case "live":
					push1(t, h, 0, 1)
				case "heartbeat":
					time.Sleep(16 * time.Second)
				default:
					s.sub.Writable()
				}
				synctest.Wait()
				require.ErrorIs(t, s.awaitClosed(), broken)
				require.Zero(t, h.OnlineClientsNum())
				want := map[string]int{"live": 1, "rest": 3, "lagging": 3}[when]
				require.Equal(t, numbers(0, want), told.data(t))
				st := requireSums(t, h)
				require.EqualValues(t, want, st.Failed)
				require.Zero(t, st.Pending)
			})
		})
	}
}
