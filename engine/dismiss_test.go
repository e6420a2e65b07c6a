package engine_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/stretchr/testify/require"
)

// atRestSoon fails where the hub's shards go on working for ever.
func atRestSoon(t *testing.T, h *engine.Hub) {
	t.Helper()
	require.Eventually(t, func() bool { return engine.Idle(h) }, time.Minute, time.Millisecond, "a shard that does not rest")
}

// Dismissing ends, however many connections that are not concerned come meanwhile, and
// with the smallest budget (invariant 9).
func TestDismissalEndsBesideNewConnections(t *testing.T) {
	h := newHub(t, engine.WithShards(1), engine.WithSweepBudget(1))
	var old, fresh []*memSink
	for range 500 {
		old = append(old, join(t, h, engine.Subscription{}, -1))
	}
	h.Dismiss(engine.ErrHistory)
	for range 50 {
		fresh = append(fresh, joinNow(t, h, engine.Subscription{}))
	}
	atRestSoon(t, h)
	for _, s := range old {
		require.ErrorIs(t, s.awaitClosed(), engine.ErrHistory)
	}
	require.NoError(t, h.Push(nil, message("last")))
	for _, s := range fresh {
		s.awaitText("last")
	}
}

// steppedLog takes a batch for each step.
type steppedLog struct {
	*fakeLog
	steps chan struct{}
	begun *atomic.Int32
}

func (l steppedLog) Begin(recs []persist.Record) (wait func() error, err error) {
	l.begun.Add(1)
	return func() error {
		<-l.steps
		return l.Append(context.Background(), recs)
	}, nil
}

// Connections that wait for a place which their shard has not reached cost nothing while
// it stands, are admitted when it is there, and are found by a dismissal.
func TestEarlyConnectionsCostNothing(t *testing.T) {
	for _, dismissed := range []bool{false, true} {
		log := steppedLog{newFakeLog(), make(chan struct{}), &atomic.Int32{}}
		h := newHub(t, engine.WithShards(1), engine.WithSweepBudget(1), engine.WithLog(log))
		witness := join(t, h, engine.Subscription{}, -1)
		for i := range 2 {
			_, err := h.PushAsync(nil, number(i))
			require.NoError(t, err)
			require.Eventually(t, func() bool { return log.begun.Load() > 0 }, time.Minute, time.Millisecond)
		}
		var early, later []*memSink
		for range 60 {
			early = append(early, joinNow(t, h, engine.Subscription{}))
		}
		log.steps <- struct{}{}
		witness.awaitText("data: 0\n")
		if dismissed {
			h.Dismiss(engine.ErrHistory)
			for range 60 {
				later = append(later, joinNow(t, h, engine.Subscription{}))
			}
		}
		atRestSoon(t, h)
		close(log.steps)
		require.NoError(t, h.Push(nil, message("last")))
		for i, s := range append(early, later...) {
			if dismissed && i < len(early) {
				require.ErrorIs(t, s.awaitClosed(), engine.ErrHistory)
				continue
			}
			s.awaitText("last")
			require.Equal(t, []string{"last"}, s.data(t))
		}
	}
}

// Who waits for its place when all are disconnected is told so, and who comes meanwhile
// is not, although their shard moves, and looks at them, while they are told in parts.
func TestThoseThatWaitAreToldWhileTheirShardMoves(t *testing.T) {
	log := steppedLog{newFakeLog(), make(chan struct{}), &atomic.Int32{}}
	h := newHub(t, engine.WithShards(1), engine.WithSweepBudget(1), engine.WithLog(log), engine.WithHeartbeat(-1))
	release := sync.OnceFunc(func() { close(log.steps) })
	t.Cleanup(release)
	witness := join(t, h, engine.Subscription{}, -1)
	var pushed []*engine.Result
	for i := range 2 {
		p, err := h.PushAsync(nil, number(i))
		require.NoError(t, err)
		pushed = append(pushed, p)
		require.Eventually(t, func() bool { return log.begun.Load() > 0 }, time.Minute, time.Millisecond)
	}
	var early, later []*memSink
	for range 60 {
		early = append(early, joinNow(t, h, engine.Subscription{}))
	}
	require.Eventually(t, func() bool { return engine.Early(h) == len(early) }, time.Minute, time.Millisecond)
	type result struct {
		told int
		err  error
	}
	done := make(chan result, 1)
	engine.Passes(h, func() {
		log.steps <- struct{}{}
		_, err := pushed[0].Wait(t.Context())
		require.NoError(t, err)
		go func() {
			n, err := h.Disconnect(context.Background(), engine.Disconnection{All: true})
			done <- result{n, err}
		}()
		engine.AwaitErrand(h)
	}, func() bool {
		if len(later) < 40 {
			later = append(later, joinNow(t, h, engine.Subscription{}))
		}
		return true
	})
	require.Equal(t, result{told: len(early) + 1}, <-done)
	for _, s := range append(early, witness) {
		require.Equal(t, "closed", engine.StateOf(h, s.sub))
	}
	for _, s := range later {
		require.Equal(t, "new", engine.StateOf(h, s.sub))
	}
	release()
	require.NoError(t, h.Push(nil, message("last")))
	sent := witness.len()
	for _, s := range later {
		s.awaitText("last")
		sent += s.len()
	}
	for _, s := range early {
		require.ErrorIs(t, s.awaitClosed(), engine.ErrReconnect)
		sent += s.len()
	}
	require.EqualValues(t, sent, settled(h).SentBytes, "also what the early ones were told")
}
