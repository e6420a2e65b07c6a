package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
)

// The users of one event are looked for in parts. Invariants 3 and 4: whoever comes
// beside it gets the event if its seat was before it, who goes does not, each once, and
// the statistics add up.
func TestALargeAudienceIsMarkedInParts(t *testing.T) {
	const n = 20_000
	h := passHub(t)
	users := make([]string, n)
	for i := range users {
		users[i] = fmt.Sprintf("user-%05d", i)
	}
	var there []*memSink
	for i := 0; i < n; i += 1000 {
		there = append(there, join(t, h, engine.Subscription{UID: users[i]}, -1))
	}
	other := join(t, h, engine.Subscription{UID: "other"}, -1)
	seat := func(uid string) *engine.Seat {
		s, err := h.Seat(t.Context(), engine.Subscription{UID: uid})
		require.NoError(t, err)
		return s
	}
	first, last, foreign := seat(users[1]), seat(users[n-1]), seat("other")
	take := func(s *engine.Seat) *memSink {
		sink := newSink(-1)
		sink.mu.Lock()
		defer sink.mu.Unlock()
		var err error
		sink.sub, err = s.Take(sink)
		require.NoError(t, err)
		return sink
	}
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
				later = append(later, take(s))
			}
			later = append(later, joinNow(t, h, engine.Subscription{UID: users[2]}))
			there[0].sub.Hangup(nil)
			there[len(there)-1].sub.Hangup(nil)
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
	requireSums(t, h)
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
