package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/pebblelog"
	"github.com/spatehub/spate/wire"
)

// seed returns the run's random seed, printed so that a failure can be
// replayed with SPATETEST_SEED=<seed> go test -run <test>.
func seed(t testing.TB) uint64 {
	n := uint64(time.Now().UnixNano())
	if v := os.Getenv("SPATETEST_SEED"); v != "" {
		var err error
		n, err = strconv.ParseUint(v, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("replay with SPATETEST_SEED=%d go test -race -run '^%s$' ./engine", n, t.Name())
	return n
}

// logs are the kinds of history that a resume is served from.
var logs = []struct {
	name string
	opts func(t testing.TB) []engine.HubOption
}{
	{"memory log", func(t testing.TB) []engine.HubOption {
		return []engine.HubOption{engine.WithLog(persist.NewMemory())}
	}},
	{"pebble log", func(t testing.TB) []engine.HubOption {
		log, err := pebblelog.Open(t.TempDir(), pebblelog.WithSync(false))
		require.NoError(t, err)
		return []engine.HubOption{engine.WithStore(log)}
	}},
	{"plain store", func(t testing.TB) []engine.HubOption {
		return []engine.HubOption{engine.WithStore(&sliceStore{})}
	}},
	{"immediate", func(t testing.TB) []engine.HubOption {
		return []engine.HubOption{engine.WithLog(persist.NewMemory()), engine.WithImmediateDelivery()}
	}},
}

// sliceStore is a Store as a user writes it.
type sliceStore struct {
	mu     sync.Mutex
	events []*wire.Event
}

func (s *sliceStore) Save(_ context.Context, e *wire.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
	return nil
}

func (s *sliceStore) ListByLastID(_ context.Context, eventType, lastID string, pageSize int) ([]*wire.Event, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var page []*wire.Event
	for _, e := range s.events {
		if (eventType == "" || e.Event == eventType) && e.ID > lastID {
			if page = append(page, e); len(page) == pageSize {
				return page, e.ID, nil
			}
		}
	}
	return page, "", nil
}

// Invariants 2, 3 and 4: publishers run while many clients, patient or not, disconnect
// and reconnect at random, with rooms that run out at random; each ends with every
// ID for it exactly once, in order.
func TestResumeUnderFire(t *testing.T) {
	for _, log := range logs {
		t.Run(log.name, func(t *testing.T) {
			n := seed(t)
			h := newHub(t, append(log.opts(t), withCodings(), engine.WithLinger(2*time.Millisecond, func(private bool, _ string) bool { return private }), engine.WithPatience(5*time.Millisecond), engine.WithEnableResendEvents(),
				engine.WithChanBufferSize(256), engine.WithShards(3))...)
			underFire(t, h, n, 1500, 24)
		})
	}
}

// underFire runs the test's publishers and clients against the hub.
func underFire(t *testing.T, h *engine.Hub, seed uint64, perPublisher, clients int) {
	const publishers = 3
	topics := []string{"", "a", "b"}
	start := h.LastID()
	type published struct {
		id    uint64
		user  string
		topic string
	}
	var mu sync.Mutex
	var all []published
	var pubs, subs sync.WaitGroup
	for p := range publishers {
		pubs.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(p)))
			for i := range perPublisher {
				e := &wire.Event{Event: "n", Data: fmt.Sprintf("%d.%d", p, i), Topic: topics[rng.IntN(3)]}
				var uids []string
				user := ""
				if rng.IntN(4) == 0 {
					user = fmt.Sprint("u", rng.IntN(clients/2))
					uids = []string{user}
				}
				ids, err := h.Publish(context.Background(), uids, e)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				all = append(all, published{ids[0], user, e.Topic})
				mu.Unlock()
			}
		})
	}
	ctx, finish := context.WithCancel(context.Background())
	got := make([]map[uint64]int, clients)
	for i := range clients {
		got[i] = map[uint64]int{}
		subs.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(100+i)))
			restless(ctx, t, h, rng, start, fmt.Sprint("u", i/2), topics[1:1+i%3], got[i])
		})
	}
	pubs.Wait()
	finish()
	subs.Wait()
	for i := range clients {
		user := fmt.Sprint("u", i/2)
		want := map[uint64]int{}
		for _, p := range all {
			topicOK := p.topic == "" || p.topic == "a" && i%3 >= 1 || p.topic == "b" && i%3 == 2
			if (p.user == "" || p.user == user) && topicOK {
				want[p.id] = 1
			}
		}
		require.Equal(t, want, got[i], "client %d: every event for it exactly once", i)
	}
}

// restless connects, reads a while, is slow at times, and comes back with its
// last ID, until done; then it reads to the end.
func restless(ctx context.Context, t *testing.T, h *engine.Hub, rng *rand.Rand, start uint64, uid string, topics []string, got map[uint64]int) {
	last := start
	final := false
	for !final {
		final = ctx.Err() != nil
		room := -1
		if !final {
			room = rng.IntN(20000)
		}
		sub := engine.Subscription{UID: uid, Topics: topics, LastEventID: wire.FormatID(last), Patient: rng.IntN(2) == 0}
		if len(h.Encodings()) > 0 {
			anyForm(&sub, rng.IntN(6))
		}
		s := join(t, h, sub, room)
		if final {
			marker := fmt.Sprint("end of ", rng.Uint64())
			if err := h.Push([]string{uid}, &wire.Event{Event: "end", Data: marker}); err != nil {
				t.Error(err)
				return
			}
			s.awaitText(marker)
		} else {
			stop := context.AfterFunc(ctx, func() { s.allow(0) })
			for range rng.IntN(5) {
				want := rng.IntN(4000)
				s.await(func() bool { return len(s.buf) >= want || s.room == 0 || ctx.Err() != nil })
				s.allow(rng.IntN(5000))
			}
			stop()
		}
		s.sub.Hangup(errors.New("leaving"))
		s.awaitClosed()
		prev := last
		for _, e := range s.events(t) {
			if e.Event == engine.GapEvent {
				t.Errorf("client of %s got a gap: %v", uid, e.Data)
				continue
			}
			id, _ := wire.ParseID(e.ID)
			if id <= last {
				t.Errorf("client of %s got %d after %d (resumed at %d)", uid, id, last, prev)
			}
			last = id
			if e.Event == "n" {
				got[id]++
			}
		}
	}
}

// A resume does not bring ephemeral events back: the client may have had them,
// and they have no ID by which it could tell. Those since are live.
func TestEphemeralEventsAreNotResent(t *testing.T) {
	for _, history := range histories {
		for _, conflate := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, conflate %v", history.name, conflate), func(t *testing.T) {
				h := newHub(t, append(history.opts(), engine.WithEnableResendEvents())...)
				start := wire.FormatID(h.LastID())
				push := func(data string, ephemeral bool) {
					e := message(data)
					e.Ephemeral, e.Key = ephemeral, "k"
					require.NoError(t, h.Push(nil, e))
				}
				push("one", false)
				push("gone", true)
				settled(h)
				s := join(t, h, engine.Subscription{LastEventID: start, Conflate: conflate}, 0)
				settled(h)
				push("now", true)
				settled(h)
				s.allow(-1)
				requireSums(t, h)
				push("later", true)
				settled(h)
				require.Equal(t, []string{"one", "now", "later"}, s.data(t), "nor does one replace what the log has")
			})
		}
	}
}
