package engine_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
)

// writes counts what a sink is offered.
func (s *memSink) countWrites(n *int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onSend = func([]byte) { *n++ }
}

// Events that come within the wait share a write, in order; none waits longer, and one
// that is alone waits no longer either.
func TestLingerSharesWrites(t *testing.T) {
	for _, history := range histories {
		synctest.Test(t, func(t *testing.T) {
			h := newHub(t, append(history.opts(), engine.WithChanBufferSize(1024), engine.WithLinger(10*time.Millisecond, nil), engine.WithHeartbeat(-1))...)
			public, user := join(t, h, engine.Subscription{}, -1), join(t, h, engine.Subscription{UID: "u"}, -1)
			synctest.Wait()
			writes := 0
			public.countWrites(&writes)
			for i := range 100 {
				require.NoError(t, h.Push(nil, number(i)))
				require.NoError(t, h.Push([]string{"u"}, number(1000+i)))
				time.Sleep(time.Millisecond)
				synctest.Wait()
				require.GreaterOrEqual(t, len(public.data(t)), i-9, "none waits longer")
			}
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
			require.Len(t, public.ids(t), 100)
			require.Len(t, user.ids(t), 200)
			require.LessOrEqual(t, writes, 11)
			require.NoError(t, h.Push(nil, message("alone")))
			begin := time.Now()
			public.awaitText("alone")
			require.LessOrEqual(t, time.Since(begin), 10*time.Millisecond)
		})
	}
}

// An urgent event goes at once, and takes with it what came before.
func TestUrgentEventsDoNotLinger(t *testing.T) {
	for _, history := range histories {
		synctest.Test(t, func(t *testing.T) {
			h := newHub(t, append(history.opts(), engine.WithChanBufferSize(1024), engine.WithLinger(time.Second,
				func(private bool, topic string) bool { return private || topic == "alarm" }))...)
			s := join(t, h, engine.Subscription{UID: "u", Topics: []string{"alarm"}}, -1)
			other := join(t, h, engine.Subscription{UID: "v"}, -1)
			synctest.Wait()
			begin := time.Now()
			require.NoError(t, h.Push(nil, number(0), number(1)))
			synctest.Wait()
			require.Empty(t, s.data(t))
			require.NoError(t, h.Push([]string{"u"}, number(2)))
			synctest.Wait()
			require.Equal(t, []string{"0", "1", "2"}, s.data(t))
			require.NoError(t, h.Push(nil, number(3)))
			synctest.Wait()
			require.NoError(t, h.Push(nil, &wire.Event{Topic: "alarm", Data: "4"}))
			synctest.Wait()
			require.Equal(t, []string{"0", "1", "2", "3", "4"}, s.data(t))
			require.Less(t, time.Since(begin), time.Millisecond) // publishers wait for the clock of IDs
			time.Sleep(time.Second)
			synctest.Wait()
			require.Equal(t, []string{"0", "1", "3"}, other.data(t))
		})
	}
}

// What waits is bounded in number, and the hub's end does not wait for it; who joins
// or resumes while it waits misses nothing and gets nothing twice (invariant 3).
func TestLingerHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, engine.WithLog(persist.NewMemory()), engine.WithEnableResendEvents(), engine.WithShards(3),
			engine.WithChanBufferSize(64), engine.WithLinger(time.Second, nil), engine.WithDrainTimeout(time.Minute))
		begin := time.Now()
		s := join(t, h, engine.Subscription{}, -1)
		var want []string
		for i := range 30 {
			require.NoError(t, h.Push(nil, number(i)))
			synctest.Wait()
			want = append(want, fmt.Sprint(i))
		}
		require.GreaterOrEqual(t, len(s.data(t)), 24, "eight may wait")
		resumed := join(t, h, engine.Subscription{LastEventID: engine.Earliest}, -1)
		live := join(t, h, engine.Subscription{}, -1)
		require.NoError(t, h.Push(nil, message("last")))
		synctest.Wait()
		require.NoError(t, h.Shutdown(context.Background()))
		require.Less(t, time.Since(begin), 500*time.Millisecond)
		want = append(want, "last")
		require.Equal(t, want, s.data(t))
		require.Equal(t, want, resumed.data(t))
		require.Equal(t, []string{"last"}, live.data(t))
	})
}

// Who joins while others' events wait is taken in when they go, not with the clock.
func TestJoinWhileEventsLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, engine.WithShards(8), engine.WithLinger(10*time.Millisecond, nil))
		for i := range 20 {
			require.NoError(t, h.Push([]string{fmt.Sprint(i)}, number(i)))
			s := join(t, h, engine.Subscription{UID: fmt.Sprint("other", i)}, -1)
			begin := time.Now()
			for engine.StateOf(h, s.sub) != "live" {
				time.Sleep(time.Millisecond)
				synctest.Wait()
			}
			require.LessOrEqual(t, time.Since(begin), 11*time.Millisecond)
		}
	})
}
