package engine

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// clocklessHub is a hub without a clock and a journal: nothing but its own
// wake-ups ever brings a shard to run, so that one that is lost stays lost. Its
// ring has room for all that a test pushes: shards without receivers sleep on.
func clocklessHub(t *testing.T, shards, runners int) *Hub {
	cfg := newConfig([]HubOption{WithChanBufferSize(1 << 16), WithShards(shards), WithLogger(slog.New(slog.DiscardHandler))})
	h := buildHub(cfg, nil, 1000)
	h.wakeStep = 1 << 40
	h.startShards(runners)
	t.Cleanup(func() { require.NoError(t, h.kernel.ReleaseTimeout(time.Minute)) })
	return h
}

// echo is a sink that answers each write on a channel.
type echo chan struct{}

func (e echo) Write(p []byte) (int, error) { e <- struct{}{}; return len(p), nil }
func (e echo) Close(error)                 {}

// Litmus: a wake-up that meets the end of a pass, or of a runner, is never
// lost; nor is that for an event which had to wait for a slower publisher with
// an earlier one, for other shards. Each round waits for its delivery; forbidden
// is that it never comes.
func TestWakeMeetsTheEndOfAPass(t *testing.T) {
	for _, c := range []struct{ shards, runners, publishers int }{{1, 1, 1}, {1, 1, 3}, {4, 1, 4}, {4, 4, 4}, {8, 2, 6}} {
		t.Run(fmt.Sprintf("%d shards, %d runners, %d publishers", c.shards, c.runners, c.publishers), func(t *testing.T) {
			h := clocklessHub(t, c.shards, c.runners)
			var lost atomic.Bool
			var wg sync.WaitGroup
			for p := range c.publishers {
				wg.Go(func() {
					uid := []string{fmt.Sprint("u", p)}
					got := make(echo, 1)
					if _, err := h.Subscribe(Subscription{UID: uid[0]}, got); err != nil {
						t.Error(err)
						return
					}
					rng := rand.New(rand.NewPCG(uint64(p), 0))
					e := &wire.Event{Data: "x"}
					timer := time.NewTimer(time.Minute)
					defer timer.Stop()
					for round := range 4000 {
						if err := h.Push(uid, e); err != nil {
							t.Error(err)
							return
						}
						select {
						case <-got:
						case <-timer.C:
							lost.Store(true)
							t.Errorf("the delivery of round %d never came", round)
							return
						}
						for range rng.IntN(3) { // meet the pass at another point
							runtime.Gosched()
						}
					}
				})
			}
			wg.Wait()
			require.False(t, lost.Load())
			for _, s := range h.shards {
				for s.state.Load() != shardIdle {
					runtime.Gosched()
				}
				require.True(t, s.mail.Empty(), "no mail is left lying")
			}
			for h.sched.runners.n.Load() != 0 {
				runtime.Gosched()
			}
			require.Zero(t, h.sched.ready.Len())
		})
	}
}

// Litmus: mail from many goroutines at once, while the shard passes: each
// request is seen, and no two runners are ever inside of one shard.
func TestMailMeetsThePass(t *testing.T) {
	h := clocklessHub(t, 2, 4)
	const clients, rounds = 6, 3000
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			s := &lockstep{asked: make(chan struct{}, 1)}
			sub, err := h.Subscribe(Subscription{}, s)
			if err != nil {
				t.Error(err)
				return
			}
			if err := h.Push(nil, &wire.Event{Data: "x"}); err != nil {
				t.Error(err)
				return
			}
			timer := time.NewTimer(time.Minute)
			defer timer.Stop()
			for round := range rounds {
				select {
				case <-s.asked:
				case <-timer.C:
					t.Errorf("the request of round %d was not seen", round)
					return
				}
				sub.Writable() // and the shard tries again: the next round
			}
			sub.Hangup(nil)
		})
	}
	wg.Wait()
	for h.OnlineClientsNum() > 0 {
		runtime.Gosched()
	}
}

// lockstep is a sink that takes nothing, and says each time that it was asked.
type lockstep struct {
	inside atomic.Int32
	asked  chan struct{}
}

func (s *lockstep) Write([]byte) (int, error) {
	if s.inside.Add(1) != 1 {
		panic("two runners inside of one shard")
	}
	select {
	case s.asked <- struct{}{}:
	default:
	}
	s.inside.Add(-1)
	return 0, nil
}

func (s *lockstep) Close(error) {}
