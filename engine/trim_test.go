package engine_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/stretchr/testify/require"
)

// A shard is at rest where the clients that it was moving on have all gone before
// it was through with them.
func TestShardRestsWhereThoseToBeMovedOnAreGone(t *testing.T) {
	for at := range 12 {
		h := newHub(t, engine.WithShards(1), engine.WithChanBufferSize(64), engine.WithSweepBudget(1),
			engine.WithPolicy(engine.PolicyRetry))
		var stalled []*memSink
		for i := range 20 {
			stalled = append(stalled, join(t, h, engine.Subscription{UID: strconv.Itoa(i), StallTimeout: -1}, 5))
		}
		live := join(t, h, engine.Subscription{}, -1)
		settled(h)
		sent := 0
		live.mu.Lock()
		live.onSend = func([]byte) {
			if sent++; sent == 30+at {
				for _, s := range stalled { // the pass under way begins to move them on
					s.sub.Hangup(nil)
				}
			}
		}
		live.mu.Unlock()
		for i := range 30 + at {
			settled(h)
			require.NoError(t, h.Push(nil, number(i)))
		}
		for _, s := range stalled {
			s.awaitClosed()
		}
		require.Eventually(t, func() bool { return engine.Idle(h) }, time.Minute, time.Millisecond, "after %d", 30+at)
	}
}
