package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// The users of one event are looked for in parts. Invariants 3 and 4: whoever comes
// beside it gets the event if its seat was before it, who goes does not, each once, and
// each receiver is counted.
func TestALargeAudienceIsMarkedInParts(t *testing.T) {
	const n = 20_000
	told := newFailures()
	h := passHub(t, told.option())
	users := make([]string, n)
	for i := range users {
		users[i] = fmt.Sprintf("user-%05d", i)
	}
	var there []*memSink
	for i := 0; i < n; i += 1000 {
		there = append(there, join(t, h, engine.Subscription{UID: users[i]}, -1))
	}
	other := join(t, h, engine.Subscription{UID: "other"}, -1)
	seat := func(uid string) *engine.Seat { return seatOf(t, h, engine.Subscription{UID: uid}) }
	first, last, foreign := seat(users[1]), seat(users[n-1]), seat("other")
	settled(h)

	var later []*memSink // in order of first, last, foreign; then one that came after the push
	passes := 0
	costs := engine.Passes(h, func() {
		require.NoError(t, h.Push(users, message("one")))
		require.NoError(t, h.Push(nil, message("two")))
	}, func() bool {
		passes++
		if passes == 2 { // of those with low numbers, all have been looked for, of those with high ones none
			require.Empty(t, there[0].data(t))
			for _, s := range []*engine.Seat{first, last, foreign} {
				later = append(later, take(t, s, -1))
			}
			later = append(later, joinNow(t, h, engine.Subscription{UID: users[2]}))
			hangup(there[0])
			hangup(there[len(there)-1])
		}
		return true
	})
	require.LessOrEqual(t, max(costs[0], costs[1], costs[2]), 2*engine.SweepBudget)
	require.GreaterOrEqual(t, len(costs), n*engine.MarkCost/engine.SweepBudget)
	settled(h)

	both := []string{"one", "two"}
	require.Empty(t, there[0].data(t))
	require.Empty(t, there[len(there)-1].data(t))
	for _, s := range there[1 : len(there)-1] {
		require.Equal(t, both, s.data(t))
	}
	require.Equal(t, []string{"two"}, other.data(t))
	require.Equal(t, both, later[0].data(t), "its user had been looked for")
	require.Equal(t, both, later[1].data(t), "its user had not")
	require.Equal(t, []string{"two"}, later[2].data(t))
	require.NotContains(t, strings.Join(later[3].data(t), " "), "one", "it came after the push")

	st := requireSums(t, h)
	told.await(int(st.Failed + st.NoReceiver))
	h.Close()
	offline := map[string]int{users[1]: 1} // told before its connection came
	for i, uid := range users {
		if i%1000 != 0 && i < n-1 || i == 0 || i == n-1000 {
			offline[uid] = 1
		}
	}
	got := map[string]int{}
	for _, f := range told.await(0) {
		got[f.uid]++
	}
	require.Equal(t, offline, got)
	require.EqualValues(t, 1, st.Failed, "its user had been found")
	require.EqualValues(t, len(offline)-1, st.NoReceiver)
	delivered := 2*(len(there)-2) + 5 // of later and other, two got both
	require.EqualValues(t, delivered+1, st.Delivered)
	require.EqualValues(t, delivered+1+len(offline), st.Pushed)
}

// A first connection that finds its shard behind passes over all of an audience.
func TestALargeAudienceBeforeTheFirstConnection(t *testing.T) {
	h := passHub(t)
	users := make([]string, 20_000)
	for i := range users {
		users[i] = fmt.Sprint("user-", i)
	}
	var s *memSink
	engine.Passes(h, func() {
		require.NoError(t, h.Push(users, message("before")))
		s = joinNow(t, h, engine.Subscription{UID: users[0]})
		require.NoError(t, h.Push(users, message("after")))
	}, nil)
	settled(h)
	require.Equal(t, []string{"after"}, s.data(t))
	requireSums(t, h)
}

// Heartbeats of one tick are sent in parts, to all that are due, and ticks that come
// meanwhile do not begin them anew.
func TestHeartbeatsOfATickAreSentInParts(t *testing.T) {
	const n = 3000
	h := newHub(t, engine.WithShards(1), engine.WithSweepBudget(engine.SweepBudget), engine.WithHeartbeat(2*time.Second))
	sinks := crowd(t, h, n, -1, engine.Subscription{})
	passes := 0
	costs := engine.Passes(h, func() { engine.Tick(h, 1000) }, func() bool {
		if passes++; passes < 40 {
			engine.Tick(h, 2)
		}
		return true
	})
	requireWithinBudget(t, costs)
	for _, s := range sinks {
		s.awaitText(":\n")
	}
}

// What marks cost in one go is bounded also where users have many connections, but for
// those of one user, and where nobody can be found.
func TestMarksAreBoundedByWhatTheyCost(t *testing.T) {
	const n, each, budget = 256, 20, 64 * engine.MarkCost
	users := make([]string, n)
	for i := range users {
		users[i] = fmt.Sprintf("user-%03d", i)
	}
	for _, c := range []struct {
		name string
		each int // connections of each user, none of which follows the topic
	}{{"many connections", each}, {"nobody", 0}} {
		t.Run(c.name, func(t *testing.T) {
			h := passHub(t, engine.WithMarkBudget(budget))
			join(t, h, engine.Subscription{Topics: []string{"t"}}, -1)
			for _, uid := range users {
				crowd(t, h, c.each, -1, engine.Subscription{UID: uid})
			}
			settled(h)
			costs := engine.Passes(h, func() { require.NoError(t, h.Push(users, &wire.Event{Topic: "t", Data: "x"})) }, nil)
			user := engine.MarkCost + c.each*engine.LookCost
			require.LessOrEqual(t, slices.Max(costs), budget+user+2*engine.WriteCost)
			require.GreaterOrEqual(t, len(costs), n*user/budget)
			require.EqualValues(t, n, requireSums(t, h).NoReceiver)
		})
	}
}

// Events that are delivered together are so many as their marks together may cost.
func TestMarksOfSeveralEventsAreBoundedTogether(t *testing.T) {
	const n = 8
	h := passHub(t, engine.WithMarkBudget(4*engine.MarkCost))
	s := join(t, h, engine.Subscription{UID: "a"}, -1)
	settled(h)
	writes := 0
	s.onSend = func([]byte) { writes++ }
	engine.Passes(h, func() {
		for i := range n {
			require.NoError(t, h.Push([]string{"a", "b"}, number(i)))
		}
	}, nil)
	require.Equal(t, numbers(0, n), s.data(t))
	require.Equal(t, n/2, writes)
}
