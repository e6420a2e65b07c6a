package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// stand is a Source whose words the test chooses.
type stand struct {
	head    atomic.Uint64
	headErr error
	admit   error
	ended   chan struct{}
}

func newStand() *stand { return &stand{ended: make(chan struct{})} }

func (s *stand) Assign(context.Context, []string, []*wire.Event) ([]uint64, error) {
	return nil, engine.ErrUnready
}
func (s *stand) Head(context.Context) (uint64, error) { return s.head.Load(), s.headErr }
func (s *stand) Admit() error                         { return s.admit }
func (s *stand) Ready() error                         { return s.admit }
func (s *stand) Feed(ctx context.Context, _ *engine.Hub) {
	<-ctx.Done()
	close(s.ended)
}

func assigned(ids ...uint64) (out []engine.Assigned) {
	for _, id := range ids {
		out = append(out, engine.Assigned{ID: id, Event: number(int(id))})
	}
	return out
}

// Invariant 13: a connection with an ID that this hub has not reached, but others
// have, waits for it; one that nobody has reached is told of a gap; where that is not
// to be found out, there is an error.
func TestIDFromElsewhereWaits(t *testing.T) {
	src := newStand()
	h := newHub(t, engine.WithSource(src), engine.WithEnableResendEvents(), engine.WithLog(persist.NewMemory()))
	ctx := context.Background()
	require.NoError(t, h.Apply(ctx, assigned(5, 6)...))
	src.head.Store(9)

	var waiting sync.WaitGroup
	sinks := make([]*memSink, 8)
	for i := range sinks {
		waiting.Go(func() { sinks[i] = join(t, h, engine.Subscription{LastEventID: "8"}, -1) })
	}
	require.NoError(t, h.Apply(ctx, assigned(7, 8)...))
	require.NoError(t, h.Apply(ctx, assigned(9)...))
	waiting.Wait()
	settled(h)
	for _, s := range sinks {
		require.Equal(t, []uint64{9}, s.ids(t))
		require.Zero(t, s.gaps(t))
	}
	s := join(t, h, engine.Subscription{LastEventID: "10"}, -1)
	settled(h)
	require.Equal(t, 1, s.gaps(t), "nobody gave it")

	src.headErr = errors.New("cut off")
	_, err := h.Seat(ctx, engine.Subscription{LastEventID: "10"})
	require.ErrorIs(t, err, engine.ErrUnready)
	src.headErr = nil
	src.head.Store(12)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = h.Seat(ended, engine.Subscription{LastEventID: "12"})
	require.ErrorIs(t, err, engine.ErrUnready, "given, and not here yet")

	src.admit = engine.ErrUnready
	_, err = h.Seat(ctx, engine.Subscription{})
	require.ErrorIs(t, err, engine.ErrUnready)
	require.ErrorIs(t, h.Ready(), engine.ErrUnready)
	require.NoError(t, h.Healthy())
	require.ErrorIs(t, h.Push(nil, message("x")), engine.ErrUnready)
	h.Close()
	<-src.ended
}

// What was skipped is no gap, also for those who were there; the hub stands behind it.
func TestSkipIsNoGap(t *testing.T) {
	src := newStand()
	log := keptLog()
	h := newHub(t, engine.WithSource(src), engine.WithEnableResendEvents(), engine.WithLog(log), engine.WithShards(2))
	ctx := context.Background()
	require.NoError(t, h.Skip(ctx, 100), "where the stream begins")
	require.Equal(t, uint64(100), h.LastID())
	live := join(t, h, engine.Subscription{}, -1)
	require.NoError(t, h.Apply(ctx, assigned(101, 102)...))
	require.NoError(t, h.Skip(ctx, 110))
	require.NoError(t, h.Skip(ctx, 105), "it is there already")
	require.Equal(t, uint64(110), h.LastID())
	settled(h)
	for from, want := range map[string][]uint64{"100": {101, 102}, "101": {102}, "102": nil, "104": nil, "110": nil, "earliest": {101, 102}} {
		if from == "earliest" {
			from = engine.Earliest
		}
		s := join(t, h, engine.Subscription{LastEventID: from}, -1)
		settled(h)
		require.Equal(t, want, s.ids(t), "after %s", from)
		require.Zero(t, s.gaps(t), "after %s", from)
	}
	before := join(t, h, engine.Subscription{LastEventID: "99"}, -1)
	settled(h)
	require.Equal(t, []gap{{99, 100}}, gapsOf(t, before))
	require.NoError(t, h.Apply(ctx, assigned(111)...))
	settled(h)
	require.Equal(t, []uint64{101, 102, 111}, live.ids(t))
	require.Zero(t, live.gaps(t))
	requireSums(t, h)
	h.Close()

	h = newHub(t, engine.WithSource(newStand()), engine.WithEnableResendEvents(), engine.WithLog(log))
	require.NoError(t, h.Apply(ctx, assigned(120)...))
	require.NoError(t, h.Skip(ctx, 130))
	for from, want := range map[string][]uint64{"105": {111, 120}, "115": {120}, "125": nil} {
		s := join(t, h, engine.Subscription{LastEventID: from}, -1)
		settled(h)
		require.Equal(t, want, s.ids(t), "after %s, in the next life", from)
		require.Zero(t, s.gaps(t), "after %s, in the next life", from)
	}
}

// What is lost ends all connections, and who comes back is told the gap; nothing of
// later reaches who was there before.
func TestLoseTellsGap(t *testing.T) {
	src := newStand()
	log := keptLog()
	h := newHub(t, engine.WithSource(src), engine.WithEnableResendEvents(), engine.WithLog(log))
	ctx := context.Background()
	require.NoError(t, h.Apply(ctx, assigned(5, 6)...))
	var old []*memSink
	for i := range 50 {
		sub := engine.Subscription{UID: fmt.Sprint("u", i%7)}
		if i%3 == 0 {
			sub.LastEventID = "5"
		}
		old = append(old, join(t, h, sub, []int{-1, 30}[i%2]))
	}
	seat, err := h.Seat(ctx, engine.Subscription{})
	require.NoError(t, err)
	require.NoError(t, h.Lose(ctx, 100))
	require.NoError(t, h.Lose(ctx, 100))
	require.NoError(t, h.Apply(ctx, assigned(101, 102)...))
	late := newSink(-1)
	_, err = seat.Take(late)
	require.NoError(t, err)
	for from, want := range map[string]gap{"5": {5, 100}, "6": {6, 100}, "50": {50, 100}} {
		s := join(t, h, engine.Subscription{LastEventID: from}, -1)
		settled(h)
		require.Equal(t, []gap{want}, gapsOf(t, s))
		require.Equal(t, []uint64{101, 102}, s.ids(t))
	}
	s := join(t, h, engine.Subscription{LastEventID: "100"}, -1)
	settled(h)
	require.Zero(t, s.gaps(t))
	require.Equal(t, []uint64{101, 102}, s.ids(t))
	for i, s := range append(old, late) {
		for _, id := range s.ids(t) {
			require.LessOrEqual(t, id, uint64(6), "connection %d from before", i)
		}
	}
	require.Equal(t, 4, h.OnlineClientsNum()-leavingOf(h))
	h.Close()
	h = newHub(t, engine.WithSource(newStand()), engine.WithEnableResendEvents(), engine.WithLog(log))
	require.Equal(t, uint64(102), h.LastID())
	s = join(t, h, engine.Subscription{LastEventID: "6"}, -1)
	settled(h)
	require.Equal(t, 1, s.gaps(t), "also in the next life")

	bare := newHub(t, engine.WithSource(newStand()))
	require.ErrorIs(t, bare.Lose(ctx, 7), persist.ErrNoReplica)
	require.ErrorIs(t, newHub(t).Lose(ctx, 7), engine.ErrNotFollowing)
}

// leavingOf counts connections that were told that they end and have not taken it.
func leavingOf(h *engine.Hub) int { return engine.Leaving(h) }

// StartOver implements persist.Replica.
func (l *wholeLog) StartOver(at uint64) error { return l.memory().StartOver(at) }
