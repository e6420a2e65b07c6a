package engine_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

func disconnect(t *testing.T, h *engine.Hub, d engine.Disconnection) int {
	t.Helper()
	told, err := h.Disconnect(context.Background(), d)
	require.NoError(t, err)
	return told
}

// A user is disconnected whose connections wait for their shard to come to their place;
// nobody else is.
func TestDisconnectOfThoseThatWaitForTheirPlace(t *testing.T) {
	f := newFakeLog()
	h := newHub(t, engine.WithLog(f), engine.WithShards(1))
	other := join(t, h, engine.Subscription{UID: "other"}, -1)
	settled(h)
	release := f.hold()
	pushed, err := h.PushAsync(nil, message("x"))
	require.NoError(t, err)
	var early []*memSink
	for _, sub := range []engine.Subscription{{UID: "u"}, {UID: "u", LastEventID: "1"}, {UID: "u"}} {
		early = append(early, join(t, h, sub, -1))
	}
	stays := join(t, h, engine.Subscription{UID: "stays"}, -1)

	require.Equal(t, 3, disconnect(t, h, engine.Disconnection{UID: "u"}))
	for _, s := range early {
		require.ErrorIs(t, s.awaitClosed(), engine.ErrReconnect)
	}
	release()
	_, err = pushed.Wait(context.Background())
	require.NoError(t, err)
	require.NoError(t, h.Push(nil, message("y")))
	stays.awaitText("data: y\n")
	other.awaitText("data: y\n")
	require.Equal(t, []string{"x", "y"}, other.data(t))
	require.NoError(t, engine.Audit(h))
}

// askedContext calls fn when somebody waits for its end: an errand has been sent.
type askedContext struct {
	context.Context
	fn func()
}

func (c askedContext) Done() <-chan struct{} {
	c.fn()
	return c.Context.Done()
}

// Whoever was there when a user is disconnected is ended, also where its shard has not
// come to know it: more connections join than it takes in at a time.
func TestDisconnectOfThoseThatHaveJustJoined(t *testing.T) {
	const joined = 600
	h := newHub(t, engine.WithShards(1))
	busy, sent := make(chan struct{}), make(chan struct{})
	s := newSink(-1)
	s.onSend = func([]byte) {
		close(busy)
		<-sent
		s.onSend = nil
	}
	s.mu.Lock()
	var err error
	s.sub, err = h.Subscribe(engine.Subscription{}, s)
	require.NoError(t, err)
	s.mu.Unlock()
	settled(h)
	require.NoError(t, h.Push(nil, message("x")))
	<-busy
	for range joined {
		_, err := h.Subscribe(engine.Subscription{UID: "u"}, newSink(-1))
		require.NoError(t, err)
	}
	ctx := askedContext{context.Background(), sync.OnceFunc(func() { close(sent) })}
	told, err := h.Disconnect(ctx, engine.Disconnection{UID: "u"})
	require.NoError(t, err)
	require.Equal(t, joined, told)
}

// Those of a user who are disconnected and come back at once do not keep the others from
// their turn, however little a pass may do.
func TestDisconnectBesideThoseThatComeBack(t *testing.T) {
	const there, back = 30, 10
	h := newHub(t, engine.WithShards(1), engine.WithSweepBudget(64))
	come := sync.OnceFunc(func() {
		for range back {
			_, err := h.Subscribe(engine.Subscription{UID: "u"}, newSink(-1))
			require.NoError(t, err)
		}
	})
	for range there {
		s := newSink(-1)
		s.onSend = func([]byte) { come() }
		_, err := h.Subscribe(engine.Subscription{UID: "u"}, s)
		require.NoError(t, err)
	}
	settled(h)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	told, err := h.Disconnect(ctx, engine.Disconnection{UID: "u"})
	require.NoError(t, err)
	require.Equal(t, there, told)
	require.Equal(t, back, settled(h).Clients)
}

// racingContext ends when a shard looks whether it has, which then goes on.
type racingContext struct {
	context.Context
	once sync.Once
	end  context.CancelFunc
}

func (c *racingContext) Err() (err error) {
	first := false
	c.once.Do(func() { first = true })
	if first {
		c.end()
		return nil
	}
	return c.Context.Err()
}

// A list that is given up is not touched any more by whoever asked: a shard may still be
// at it. The race detector sees it.
func TestConnectionsGivenUp(t *testing.T) {
	h := newHub(t, engine.WithShards(1))
	for range 10 {
		join(t, h, engine.Subscription{UID: "u"}, -1)
	}
	for range 50 {
		ctx := &racingContext{}
		ctx.Context, ctx.end = context.WithCancel(context.Background())
		list, _, err := h.Connections(ctx, engine.ConnectionFilter{}, "", 10)
		require.Equal(t, err != nil, list == nil)
	}
}

// A telling that is given up says how many it has told, on whichever shard; and that it
// was given up.
func TestDisconnectGivenUpCountsWhomItHasTold(t *testing.T) {
	const conns = 40
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, engine.WithShards(4))
		sinks := make([]*memSink, conns)
		for i := range sinks {
			sinks[i] = join(t, h, engine.Subscription{}, -1)
		}
		settled(h)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		told, err := h.Disconnect(ctx, engine.Disconnection{All: true, Over: 20 * time.Second})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotZero(t, told)
		require.Equal(t, ended(sinks), told)
	})
}

// All connections are told, those that wait for their place among them: they get where
// they stand and a reconnection time, and nobody waits for the log.
func TestDisconnectOfAllTellsThoseThatWaitForTheirPlace(t *testing.T) {
	const early = 50
	for _, drain := range []bool{false, true} {
		f := newFakeLog()
		h := newHub(t, engine.WithLog(f), engine.WithShards(1), engine.WithEnableResendEvents(), engine.WithSweepBudget(64))
		join(t, h, engine.Subscription{UID: "there"}, -1)
		settled(h)
		release := f.hold()
		pushed, err := h.PushAsync(nil, message("x"))
		require.NoError(t, err)
		at := wire.FormatID(h.LastID())
		var waiting []*memSink
		for i := range early {
			sub := engine.Subscription{UID: "u"}
			if i%2 == 1 {
				sub.LastEventID = engine.Earliest
			}
			waiting = append(waiting, join(t, h, sub, -1))
		}
		seat, err := h.Seat(t.Context(), engine.Subscription{UID: "late"})
		require.NoError(t, err)
		var told int
		reason := "reconnect"
		if drain {
			reason = "closed"
			told, err = h.Drain(t.Context(), engine.Drain{RetryMin: time.Second, RetryMax: 2 * time.Second})
		} else {
			told, err = h.Disconnect(t.Context(), engine.Disconnection{All: true, RetryMin: time.Second, RetryMax: 2 * time.Second})
		}
		require.NoError(t, err)
		require.Equal(t, early+1, told)
		late := newSink(-1)
		if late.sub, err = seat.Take(late); drain {
			require.NoError(t, err)
			require.ErrorIs(t, late.awaitClosed(), engine.ErrClosed)
			require.Contains(t, string(late.buf), `"reason":"closed"`)
		}
		for i, s := range waiting {
			require.Error(t, s.awaitClosed())
			require.Contains(t, string(s.buf), `"reason":"`+reason+`"`)
			require.Contains(t, string(s.buf), "\nretry: ")
			e := s.events(t)[0]
			require.Equal(t, i%2 == 0, e.ID == at, "where it stands, unless it wants history: %q", e.ID)
		}
		release()
		_, err = pushed.Wait(t.Context())
		require.NoError(t, err)
		require.NoError(t, h.Push(nil, message("y")))
		if !drain {
			late.awaitText("data: y\n")
		}
		require.NoError(t, engine.Audit(h))
	}
}
