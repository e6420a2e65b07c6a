package engine_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// pushLarge pushes n events of some size, each for the users and topics given, and
// returns their IDs.
func pushLarge(t *testing.T, h *engine.Hub, n, size int, uids []string) (ids []uint64) {
	t.Helper()
	for range n {
		got, err := h.Publish(t.Context(), uids, &wire.Event{Data: strings.Repeat("x", size)})
		require.NoError(t, err)
		ids = append(ids, got...)
	}
	return ids
}

func (s *memSink) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.buf)
}

func (s *memSink) count(text string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Count(s.buf, []byte(text))
}

// Invariant 5: what one connection is sent from the log is bounded a second, over every
// stretch of time and in every form; it gets all of it, once and in order (2, 3), and
// nobody else waits.
func TestCatchUpIsBoundedASecond(t *testing.T) {
	const rate, size, many = 20_000, 1000, 300
	for name, c := range map[string]struct {
		sub  engine.Subscription
		uids []string
	}{
		"public":       {sub: engine.Subscription{}},
		"private":      {sub: engine.Subscription{UID: "u"}, uids: []string{"u"}},
		"conflated":    {sub: engine.Subscription{Conflate: true}},
		"many at once": {sub: engine.Subscription{}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t, engine.WithStore(persist.NewMemory()), engine.WithEnableResendEvents(), engine.WithChanBufferSize(16), engine.WithCatchUpRate(rate))
				ids := pushLarge(t, h, many, size, c.uids)
				live := join(t, h, engine.Subscription{UID: "live"}, -1)
				began := time.Now()
				c.sub.LastEventID = engine.Earliest
				slow := []*memSink{join(t, h, c.sub, -1)}
				if name == "many at once" {
					for range 20 {
						slow = append(slow, join(t, h, c.sub, -1))
					}
				}
				for sec := range 10 {
					synctest.Wait()
					for _, s := range slow {
						// A bucket, and what a reading may take beyond it: another second's and an event.
						most := int(rate*time.Since(began).Seconds()) + 2*rate + size + 100
						require.LessOrEqual(t, s.len(), most, "after %d s", sec)
						require.GreaterOrEqual(t, s.len(), int(rate*time.Since(began).Seconds())-rate, "after %d s", sec)
						require.LessOrEqual(t, engine.Footprint(h, s.sub), rate, "who waits holds no page")
					}
					at := live.len()
					require.NoError(t, h.Push([]string{"live"}, &wire.Event{Data: "now"}))
					synctest.Wait()
					require.Greater(t, live.len(), at, "others wait for nothing")
					time.Sleep(time.Second)
				}
				time.Sleep(time.Duration(2*many*size/rate) * time.Second)
				synctest.Wait()
				for _, s := range slow {
					require.Equal(t, ids, s.ids(t))
				}
			})
		})
	}
}

// An event that is larger than the bound is sent and made up for; heartbeats come
// meanwhile, or the client would take the hub for gone.
func TestCatchUpOfALargeEventIsMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate, size = 1000, 50_000
		h := newHub(t, engine.WithStore(persist.NewMemory()), engine.WithEnableResendEvents(), engine.WithChanBufferSize(16), engine.WithCatchUpRate(rate),
			engine.WithHeartbeat(10*time.Second))
		pushLarge(t, h, 20, size, nil)
		s := join(t, h, engine.Subscription{LastEventID: engine.Earliest}, -1)
		synctest.Wait()
		require.Equal(t, 1, s.count("id: "))
		time.Sleep(45 * time.Second)
		synctest.Wait()
		require.Equal(t, 1, s.count("id: "), "its debt is that of 49 s")
		require.GreaterOrEqual(t, s.count(":\n"), 3, "heartbeats")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Equal(t, 2, s.count("id: "))

		h.SetCatchUpRate(0)
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, 20, s.count("id: "), "the bound has gone")
	})
}

// Invariant 9: nobody waits for those that wait for their turn; and a bound that
// comes later holds for connections that are there.
func TestCatchUpThatWaitsEndsWithTheHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, engine.WithStore(persist.NewMemory()), engine.WithEnableResendEvents(), engine.WithChanBufferSize(16))
		pushLarge(t, h, 100, 10_000, nil)
		h.SetCatchUpRate(1024)
		var sinks []*memSink
		for range 10 {
			sinks = append(sinks, join(t, h, engine.Subscription{LastEventID: engine.Earliest}, -1))
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		began := time.Now()
		h.Close()
		require.Less(t, time.Since(began), time.Second)
		for _, s := range sinks {
			require.Equal(t, engine.ErrClosed, s.awaitClosed())
			require.LessOrEqual(t, s.len(), 22_000)
		}
	})
}

// A bound that comes and goes leaves no debt of when there was none.
func TestCatchUpOwesNothingOfBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, engine.WithStore(persist.NewMemory()), engine.WithEnableResendEvents(), engine.WithChanBufferSize(16))
		ids := pushLarge(t, h, 400, 1000, nil)
		s := join(t, h, engine.Subscription{LastEventID: engine.Earliest}, 100_000) // then its peer takes nothing
		synctest.Wait()
		h.SetCatchUpRate(100_000)
		s.allow(-1)
		time.Sleep(4 * time.Second)
		synctest.Wait()
		require.Equal(t, fmt.Sprint(ids), fmt.Sprint(s.ids(t)))
	})
}

// A bound holds too where pages are there already that were read without one, and where
// the client's own events come beside those that are for everybody.
func TestCatchUpIsBoundedWhateverIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate, size, many = 20_000, 1000, 100
		h := newHub(t, engine.WithStore(persist.NewMemory()), engine.WithEnableResendEvents(), engine.WithChanBufferSize(16))
		var public, all []uint64
		for range many {
			ids := pushLarge(t, h, 1, size, nil)
			public = append(public, ids...)
			all = append(append(all, ids...), pushLarge(t, h, 1, size, []string{"u"})...)
		}
		want := map[string][]uint64{"": public, "u": all}
		for uid := range want {
			join(t, h, engine.Subscription{UID: uid, LastEventID: engine.Earliest}, -1)
		}
		synctest.Wait()
		h.SetCatchUpRate(rate)
		began, slow := time.Now(), map[string]*memSink{}
		for uid := range want {
			slow[uid] = join(t, h, engine.Subscription{UID: uid, LastEventID: engine.Earliest}, -1)
		}
		for range 30 {
			synctest.Wait()
			for uid, s := range slow {
				most := int(rate*time.Since(began).Seconds()) + 2*rate + size + 100
				require.LessOrEqual(t, s.len(), most, "user %q after %v", uid, time.Since(began))
			}
			time.Sleep(500 * time.Millisecond)
		}
		for uid, s := range slow {
			require.Equal(t, want[uid], s.ids(t))
		}
	})
}
