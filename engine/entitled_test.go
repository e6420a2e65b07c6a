package engine_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// TestEntitledIsTheRuleOfAudience: whoever follows what, by names and patterns that overlap, each connection counts once,
// and as the one rule of audience says, also where the work is cut into the smallest pieces.
func TestEntitledIsTheRuleOfAudience(t *testing.T) {
	hub := newHub(t, engine.WithSweepBudget(1))
	var subs []engine.Subscription
	for _, sub := range everyWish() {
		for range 3 {
			join(t, hub, sub, 1<<20)
			subs = append(subs, sub)
		}
	}
	asked := []string{"", "x", "y", "z", "p.q", "p.q.r", "a.q"}
	for _, uids := range [][]string{nil, {"a"}, {"b", "a", "b", "nobody"}} {
		got, err := hub.Entitled(t.Context(), uids, asked)
		require.NoError(t, err)
		for i, topic := range asked {
			want := 0
			for _, sub := range subs {
				if admits(sub, &wire.Event{Topic: topic, Users: uids}) {
					want++
				}
			}
			require.Equal(t, want, got[i], "%v %q", uids, topic)
		}
	}
	_, err := hub.Entitled(t.Context(), nil, make([]string, engine.MaxEntitled+1))
	require.ErrorContains(t, err, "topic")
	_, err = hub.Entitled(t.Context(), make([]string, engine.MaxEntitled+1), asked)
	require.ErrorContains(t, err, "uid")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = hub.Entitled(ctx, nil, asked)
	require.Error(t, err)
	hub.Close()
	_, err = hub.Entitled(t.Context(), nil, asked)
	require.ErrorIs(t, err, engine.ErrClosed)
}

// Those of one user are counted in parts too, each once, and each of their patterns costs
// a look: nobody else waits for them (invariant 5).
func TestEntitledOfOneUserIsCountedInParts(t *testing.T) {
	const n = 600
	h := passHub(t)
	patterns := make([]string, engine.MaxPatterns)
	for i := range patterns {
		patterns[i] = fmt.Sprintf("none-%d.*", i)
	}
	patterns[len(patterns)-1] = "some.*"
	crowd(t, h, n, -1, engine.Subscription{UID: "u", Topics: patterns})
	got := make(chan []int, 1)
	costs := engine.Passes(h, func() {
		go func() {
			counts, _ := h.Entitled(context.Background(), []string{"u"}, []string{"some.one", "none"})
			got <- counts
		}()
		engine.AwaitErrand(h)
	}, nil)
	requireWithinBudget(t, costs)
	require.Equal(t, []int{n, 0}, <-got)
}
