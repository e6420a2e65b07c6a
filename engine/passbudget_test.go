package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// What a pass does beside its fan-outs is bounded by what it costs, however many
// connections are concerned, and goes on in the next one where it left off.

// passHub is a hub of one shard, with the budgets that hubs have.
func passHub(t testing.TB, opts ...engine.HubOption) *engine.Hub {
	return newHub(t, append([]engine.HubOption{engine.WithShards(1), engine.WithSweepBudget(engine.SweepBudget), engine.WithHeartbeat(-1)}, opts...)...)
}

// crowd joins n connections and waits until they are in.
func crowd(t testing.TB, h *engine.Hub, n, room int, sub engine.Subscription) (sinks []*memSink) {
	for range n {
		sink := newSink(room)
		sink.mu.Lock()
		var err error
		sink.sub, err = h.Subscribe(sub, sink)
		sink.mu.Unlock()
		require.NoError(t, err)
		sinks = append(sinks, sink)
	}
	settled(h)
	return sinks
}

// requireWithinBudget holds that no pass cost much more than a sweep's budget.
func requireWithinBudget(t *testing.T, costs []int) {
	t.Helper()
	require.LessOrEqual(t, slices.Max(costs), 2*engine.SweepBudget)
	require.Greater(t, len(costs), 2, "it was no more than two passes' work")
}

// Connections with many topics that come together are taken in one after the other; one
// with few, which comes last, does not wait for them.
func TestFewTopicsDoNotWaitForMany(t *testing.T) {
	h := passHub(t)
	topics := make([]string, 1000)
	var dear, plain []*memSink
	passes := 0
	costs := engine.Passes(h, func() {
		for i := range 20 {
			for k := range topics {
				topics[k] = fmt.Sprintf("topic-%d-%d", i, k)
			}
			dear = append(dear, joinNow(t, h, engine.Subscription{Topics: topics}))
		}
		plain = append(plain, joinNow(t, h, engine.Subscription{}))
	}, func() bool {
		if passes++; passes == 1 {
			require.True(t, engine.Placed(plain[0].sub), "it waits for those with many topics")
			require.False(t, engine.Placed(dear[19].sub))
		}
		return true
	})
	requireWithinBudget(t, costs)
	for _, s := range dear {
		require.True(t, engine.Placed(s.sub))
	}
}

// A user is disconnected also where its connections have many topics, and wait to be
// taken in.
func TestDisconnectOfThoseWithManyTopics(t *testing.T) {
	h := passHub(t)
	topics := make([]string, 200)
	for k := range topics {
		topics[k] = fmt.Sprint("topic-", k)
	}
	told := make(chan int)
	engine.Passes(h, func() {
		for range 20 {
			joinNow(t, h, engine.Subscription{UID: "u", Topics: topics})
		}
		go func() {
			n, err := h.Disconnect(context.Background(), engine.Disconnection{UID: "u"})
			if err != nil {
				n = -1
			}
			told <- n
		}()
		engine.AwaitErrand(h)
	}, nil)
	require.Equal(t, 20, <-told)
}

// All connections break within one fan-out: their ends are spread over passes, nobody is
// written to after its error, and each event that waited has failed.
func TestManyThatBreakAtOnceAreEndedInParts(t *testing.T) {
	const n = 1500
	h := passHub(t)
	sinks := crowd(t, h, n, -1, engine.Subscription{})
	healthy := engine.Passes(h, func() { require.NoError(t, h.Push(nil, number(1))) }, nil)
	for _, s := range sinks {
		s.failWith(errors.New("broken"))
	}
	costs := engine.Passes(h, func() { require.NoError(t, h.Push(nil, number(2))) }, nil)
	require.LessOrEqual(t, slices.Max(costs), slices.Max(healthy)+3*engine.SweepBudget)
	require.Greater(t, len(costs), 3)
	for _, s := range sinks {
		require.ErrorContains(t, s.awaitClosed(), "broken")
	}
	st := settled(h)
	require.Zero(t, st.Clients)
	require.EqualValues(t, n, st.Ends.WriteError)
	require.EqualValues(t, n, st.Failed)
	require.NoError(t, engine.Audit(h))
}

// Between the parts the books are right, and events go on.
func TestEventsGoOnBesideManyThatBreak(t *testing.T) {
	h := passHub(t, engine.WithSweepBudget(1))
	sinks := crowd(t, h, 100, -1, engine.Subscription{})
	for _, s := range sinks {
		s.failWith(errors.New("broken"))
	}
	live := crowd(t, h, 1, -1, engine.Subscription{})[0]
	var want []string
	for i := range 300 {
		require.NoError(t, h.Push(nil, number(i)))
		want = append(want, fmt.Sprint(i))
		require.NoError(t, engine.Audit(h))
	}
	require.Eventually(t, func() bool { return settled(h).Clients == 1 }, time.Minute, time.Millisecond)
	require.Equal(t, want, live.data(t))
	requireSums(t, h)
}

// Those of a user that wait for their place are ended in parts.
func TestManyThatWaitAreDisconnectedInParts(t *testing.T) {
	const n = 1500
	f := newFakeLog()
	h := passHub(t, engine.WithLog(f))
	crowd(t, h, 1, -1, engine.Subscription{})
	release := f.hold()
	pushed, err := h.PushAsync(nil, message("x"))
	require.NoError(t, err)
	told := make(chan int)
	for range n {
		joinNow(t, h, engine.Subscription{UID: "u"})
	}
	require.Eventually(t, func() bool { return engine.Early(h) == n }, time.Minute, time.Millisecond)
	costs := engine.Passes(h, func() {
		go func() {
			n, err := h.Disconnect(context.Background(), engine.Disconnection{UID: "u"})
			if err != nil {
				n = -1
			}
			told <- n
		}()
		engine.AwaitErrand(h)
	}, nil)
	requireWithinBudget(t, costs)
	require.Equal(t, n, <-told)
	release()
	_, err = pushed.Wait(context.Background())
	require.NoError(t, err)
	require.Equal(t, 1, settled(h).Clients)
}

// All are too old at the same tick: they are asked to come back in parts, each once.
func TestManyThatAreOldAreEndedInParts(t *testing.T) {
	const n = 1500
	h := passHub(t, engine.WithMaxConnectionAge(time.Hour, 0, 0, 0))
	sinks := crowd(t, h, n, -1, engine.Subscription{})
	ticks := 2 * engine.TicksOf(h, time.Hour)
	costs := engine.Passes(h, func() { engine.Tick(h, ticks) }, nil)
	requireWithinBudget(t, costs)
	for _, s := range sinks {
		require.ErrorIs(t, s.awaitClosed(), engine.ErrReconnect)
	}
	require.EqualValues(t, n, settled(h).Ends.Reconnect)
}

// A drain looks at those that have something waiting in parts too, and comes to the others.
func TestDrainLooksInParts(t *testing.T) {
	const n = 1500
	h := passHub(t, engine.WithDrainTimeout(time.Minute), engine.WithSweepBudget(50*engine.LookCost))
	first := crowd(t, h, 1, -1, engine.Subscription{})[0] // which the look comes to last
	lagging := crowd(t, h, n, 5, engine.Subscription{StallTimeout: -1})
	require.NoError(t, h.Push(nil, message("waits")))
	settled(h)
	closed := make(chan struct{})
	costs := engine.Passes(h, func() {
		go func() { defer close(closed); h.Close() }()
		engine.AwaitDrain(h)
	}, nil)
	require.LessOrEqual(t, slices.Max(costs), 50*engine.LookCost+8*engine.WriteCost)
	sum := 0
	for _, c := range costs {
		sum += c
	}
	require.GreaterOrEqual(t, sum, n*engine.LookCost, "looks are charged")
	require.ErrorIs(t, first.awaitClosed(), engine.ErrClosed)
	for _, s := range lagging {
		s.allow(-1)
	}
	<-closed
	for _, s := range lagging {
		require.Equal(t, []string{"waits"}, s.data(t))
	}
}

// Records that are looked at for a connection and not for it cost a look.
func TestRecordsOfOthersAreCharged(t *testing.T) {
	for _, coding := range []string{"", "zstd"} {
		h := passHub(t, engine.WithLog(newFakeLog()), engine.WithEnableResendEvents(), engine.WithChanBufferSize(16), withCodings())
		first := pushN(t, h, 1)[0]
		for i := range 1000 {
			e := number(i)
			e.Topic = "others"
			require.NoError(t, h.Push(nil, e))
		}
		last := pushN(t, h, 1)[0]
		settled(h)
		before := engine.Spent(h)
		sink := newSink(-1)
		sink.t, sink.coding = t, coding
		var err error
		sink.mu.Lock()
		sink.sub, err = h.Subscribe(engine.Subscription{LastEventID: wire.FormatID(first), Encoding: coding}, sink)
		sink.mu.Unlock()
		require.NoError(t, err)
		sink.awaitText("id: " + wire.FormatID(last) + "\n")
		require.GreaterOrEqual(t, engine.Spent(h)-before, 900*engine.LookCost)
	}
}

// What connections keep of what they were sent in part is bounded over all of them, and
// small remainders are nobody's end.
func TestRestsOfAllAreBounded(t *testing.T) {
	const ring, size = 64 << 10, 30 << 10
	h := passHub(t, engine.WithRingBytes(ring))
	small := crowd(t, h, 20, 10, engine.Subscription{StallTimeout: -1})
	require.NoError(t, h.Push(nil, message("small")))
	settled(h)
	stalled := crowd(t, h, 100, 10, engine.Subscription{StallTimeout: -1, Topics: []string{"large"}})
	require.NoError(t, h.Push(nil, &wire.Event{Data: strings.Repeat("x", size), Topic: "large"}))
	settled(h)
	require.LessOrEqual(t, engine.Rests(h), int64(engine.RestFactor*ring+4*size))
	st := h.Stats()
	require.Equal(t, st.Ends.Stalled, uint64(len(small)+len(stalled)-st.Clients))
	require.Less(t, st.Clients, 40)
	require.Greater(t, st.Clients, 20)
	for _, s := range small {
		s.allow(-1)
		s.awaitText("small")
	}
	for _, s := range stalled {
		s.sub.Hangup(nil)
		s.awaitClosed()
	}
	settled(h)
	require.Zero(t, engine.Rests(h))
}
