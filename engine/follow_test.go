package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// source assigns IDs, with holes, and keeps what it has assigned: a cluster's
// stream for a test.
type source struct {
	mu     sync.Mutex
	cond   *sync.Cond
	rng    *rand.Rand
	last   uint64
	log    []engine.Assigned
	closed bool
}

func newSource(seed, last uint64) *source {
	s := &source{rng: rand.New(rand.NewPCG(seed, 7)), last: last}
	s.cond = sync.NewCond(&s.mu)
	return s
}

func (s *source) assign(_ context.Context, uids []string, events []*wire.Event) (ids []uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range events {
		if uids != nil {
			e.Users = uids
		}
		id := uint64(0)
		if !e.Ephemeral {
			s.last += 1 + uint64(s.rng.IntN(3)/2*s.rng.IntN(1000))
			id = s.last
		}
		ids = append(ids, id)
		s.log = append(s.log, engine.Assigned{ID: id, Event: e})
	}
	s.cond.Broadcast()
	return ids, nil
}

func (s *source) close() {
	s.mu.Lock()
	s.closed = true
	s.cond.Broadcast()
	s.mu.Unlock()
}

// next returns some of what follows index n, from a bit before it at times, and the
// index after it; nothing once the source is closed and n its end.
func (s *source) next(n int, rng *rand.Rand) (some []engine.Assigned, to int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n == len(s.log) && !s.closed {
		s.cond.Wait()
	}
	to = min(len(s.log), n+1+rng.IntN(100))
	for _, a := range s.log[max(0, n-rng.IntN(5)):n] {
		if a.ID != 0 { // nobody could tell that an ephemeral one comes again
			some = append(some, a)
		}
	}
	return append(some, s.log[n:to]...), to
}

// feed applies the source to the hub until it is closed.
func (s *source) feed(t *testing.T, h *engine.Hub, rng *rand.Rand) {
	for n := 0; ; {
		some, to := s.next(n, rng)
		if n == to {
			return
		}
		if err := h.Apply(context.Background(), some...); err != nil {
			t.Errorf("apply: %v", err)
			return
		}
		n = to
	}
}

// followers are the kinds of hubs that follow.
var followers = []struct {
	name string
	opts func(t testing.TB) []engine.HubOption
}{
	{"ring", func(testing.TB) []engine.HubOption {
		return []engine.HubOption{engine.WithChanBufferSize(1 << 15)}
	}},
	{"memory log", logs[0].opts},
	{"pebble log", logs[1].opts},
	{"plain store", logs[2].opts},
}

// Invariants 2, 3 and 4 hold for a hub that follows: publishers push through it,
// IDs come from elsewhere with holes, some come twice, and every client gets each
// event for it exactly once, in order, through all its reconnects.
func TestFollowUnderFire(t *testing.T) {
	for _, f := range followers {
		t.Run(f.name, func(t *testing.T) {
			n := seed(t)
			src := newSource(n, 1_000_000_000) // of one length, as the plain store compares text
			opts := append([]engine.HubOption{engine.WithAssigner(src.assign), engine.WithEnableResendEvents(),
				engine.WithChanBufferSize(256), engine.WithShards(3)}, f.opts(t)...)
			h := newHub(t, opts...)
			var feeding sync.WaitGroup
			feeding.Go(func() { src.feed(t, h, rand.New(rand.NewPCG(n, 8))) })
			ids, err := h.Publish(context.Background(), nil, message("first"))
			require.NoError(t, err)
			for h.LastID() < ids[0] {
				settled(h)
			}
			underFire(t, h, n, 400, 12)
			src.close()
			feeding.Wait()
			require.Equal(t, src.last, h.LastID())
			requireSums(t, h)
		})
	}
}

// What is applied again is passed over, and what the log refuses can be applied
// again, by the same IDs, and reaches every connection once.
func TestApplyAgain(t *testing.T) {
	log := newFakeLog()
	h := newHub(t, engine.WithLog(log), engine.WithEnableResendEvents(), engine.WithAssigner(newSource(1, 1).assign))
	live := join(t, h, engine.Subscription{}, -1)
	some := []engine.Assigned{{ID: 5, Event: number(5)}, {ID: 0, Event: message("gone")}, {ID: 9, Event: number(9)}, {ID: 10, Event: number(10)}}
	require.NoError(t, h.Apply(context.Background(), some[:2]...))
	require.NoError(t, h.Apply(context.Background(), some[0]))
	log.set(errDisk, 1) // takes 9 and not 10
	require.ErrorIs(t, h.Apply(context.Background(), some[2:]...), errDisk)
	require.Equal(t, uint64(9), h.LastID())
	settled(h)
	before := join(t, h, engine.Subscription{LastEventID: "9"}, -1)
	log.set(nil, 0)
	require.NoError(t, h.Apply(context.Background(), some[0], some[2], some[3]))
	require.Equal(t, uint64(10), h.LastID())
	settled(h)
	require.Equal(t, []string{"5", "gone", "9", "10"}, live.data(t))
	require.Equal(t, []uint64{10}, before.ids(t))
	for from, want := range map[string][]uint64{"4": {5, 9, 10}, "5": {9, 10}, "7": {9, 10}, "9": {10}, "10": nil} {
		s := join(t, h, engine.Subscription{LastEventID: from}, -1)
		settled(h)
		require.Equal(t, want, s.ids(t), "after %s", from)
		require.Zero(t, s.gaps(t), "after %s", from)
	}
	s := join(t, h, engine.Subscription{LastEventID: "3"}, -1)
	settled(h)
	require.Equal(t, []gap{{3, 4}}, gapsOf(t, s), "from before what this hub knows")
	require.Equal(t, []uint64{5, 9, 10}, s.ids(t))
	requireSums(t, h)
}

// A hub that follows again, over its replica or over nothing, tells a gap only
// where it does not know what came between.
func TestFollowOverRestarts(t *testing.T) {
	log := keptLog()
	src := newSource(1, 1)
	follow := func(l persist.Log, from int, want uint64) *engine.Hub {
		opts := []engine.HubOption{engine.WithAssigner(src.assign), engine.WithEnableResendEvents(), engine.WithLogger(testLogger(t))}
		if l != nil {
			opts = append(opts, engine.WithLog(l))
		}
		h := engine.NewHub(opts...)
		require.Equal(t, want, h.LastID(), "it says where to go on")
		var some []engine.Assigned
		for i := from; i < 100; i += 3 {
			some = append(some, engine.Assigned{ID: uint64(i), Event: number(i)})
		}
		require.NoError(t, h.Apply(context.Background(), some...))
		settled(h)
		return h
	}
	follow(log, 40, 0).Close()
	h := follow(log, 1, 97) // the source begins anew, with holes elsewhere
	defer h.Close()
	ids := []uint64{}
	for i := uint64(40); i < 100; i += 3 {
		ids = append(ids, i)
	}
	require.Equal(t, uint64(97), h.LastID())
	for from, gaps := range map[uint64]int{20: 1, 38: 1, 39: 0, 40: 0, 41: 0, 97: 0} {
		for _, hub := range []*engine.Hub{h, follow(nil, 40, 0)} {
			s := join(t, hub, engine.Subscription{LastEventID: fmt.Sprint(from)}, -1)
			settled(hub)
			require.Equal(t, gaps, s.gaps(t), "from %d", from)
			i, _ := slices.BinarySearch(ids, from+1)
			require.Equal(t, ids[i:], append([]uint64{}, s.ids(t)...), "from %d", from)
			if hub != h {
				hub.Close()
			}
		}
	}
}

// Push of a hub that follows refuses what it would refuse itself, and returns what
// the assigner says.
func TestPushGoesToTheAssigner(t *testing.T) {
	src := newSource(1, 41)
	h := newHub(t, engine.WithAssigner(src.assign))
	require.ErrorIs(t, h.Push([]string{}, message("x")), engine.ErrNoUsers)
	require.Error(t, h.Push(nil, &wire.Event{Event: "a\nb", Data: "x"}))
	require.Error(t, h.Push(nil, &wire.Event{Event: engine.GapEvent, Data: "x"}))
	require.Empty(t, src.log)
	ids, err := h.Publish(context.Background(), []string{"u"}, message("x"), &wire.Event{Data: "y", Ephemeral: true})
	require.NoError(t, err)
	require.Equal(t, []uint64{src.last, 0}, ids)
	r, err := h.PushAsync(nil, message("z"))
	require.NoError(t, err)
	ids, err = r.Wait(context.Background())
	require.NoError(t, err)
	require.Equal(t, []uint64{src.last}, ids)
	require.Zero(t, h.Stats().Events, "nothing is delivered before it is applied")

	local := newHub(t)
	require.ErrorIs(t, local.Apply(context.Background(), src.log...), engine.ErrNotFollowing)
	s := join(t, h, engine.Subscription{UID: "u"}, -1)
	require.NoError(t, h.Apply(context.Background(), src.log...))
	settled(h)
	require.Equal(t, []string{"x", "y", "z"}, s.data(t))

	never := newHub(t, engine.WithAssigner(func(ctx context.Context, _ []string, _ []*wire.Event) ([]uint64, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}))
	done := make(chan error)
	go func() { done <- never.Push(nil, message("x")) }()
	for engine.Pushers(never) == 0 {
	}
	never.Close()
	require.ErrorIs(t, <-done, engine.ErrClosed, "a wait ends with the hub")
	require.ErrorIs(t, never.Apply(context.Background(), engine.Assigned{ID: 1, Event: message("x")}), engine.ErrClosed)
}

// Events of several pushes are applied together though they are for more users than one
// push may be for: whoever follows would try them again for ever.
func TestApplyOfManyUsersTogether(t *testing.T) {
	h := newHub(t, engine.WithAssigner(newSource(1, 0).assign), engine.WithLog(persist.NewMemory()))
	users := make([]string, 40_000)
	for i := range users {
		users[i] = fmt.Sprintf("u%d", i)
	}
	s := join(t, h, engine.Subscription{UID: users[0]}, -1)
	var events []engine.Assigned
	for id := range uint64(5) {
		e := number(int(id))
		e.Users = users
		events = append(events, engine.Assigned{ID: 10 + id, Event: e})
	}
	require.NoError(t, h.Apply(context.Background(), events...))
	settled(h)
	require.Equal(t, []uint64{10, 11, 12, 13, 14}, s.ids(t))
}
