package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/stretchr/testify/require"
)

// ended returns how many of the sinks are closed.
func ended(sinks []*memSink) (n int) {
	for _, s := range sinks {
		s.mu.Lock()
		n += s.closed
		s.mu.Unlock()
	}
	return n
}

// A drain tells its connections evenly over its time: after each tenth of it, a tenth
// of them more, to one tick of each shard. Each is told a reconnection time of the
// window, and nobody is let in meanwhile. The clock is the test's.
func TestDrainTellsEvenly(t *testing.T) {
	const conns, over = 4000, 20 * time.Second
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, engine.WithShards(4))
		sinks := make([]*memSink, conns)
		for i := range sinks {
			sinks[i] = join(t, h, engine.Subscription{}, -1)
		}
		settled(h)
		var told int
		done := make(chan error, 1)
		go func() {
			var err error
			told, err = h.Drain(t.Context(), engine.Drain{Over: over, RetryMin: time.Second, RetryMax: 5 * time.Second})
			done <- err
		}()
		synctest.Wait()
		_, err := h.Seat(t.Context(), engine.Subscription{})
		require.ErrorIs(t, err, engine.ErrDraining)
		require.ErrorIs(t, err, engine.ErrClosed)
		require.NoError(t, h.Push(nil, message("still taken")))
		for tenth := 1; tenth < 10; tenth++ {
			time.Sleep(over / 10)
			synctest.Wait()
			require.InDelta(t, conns*tenth/10, ended(sinks), conns/50, "after %d tenths of the time", tenth)
		}
		require.NoError(t, <-done)
		require.Equal(t, conns, told)
		require.Equal(t, conns, ended(sinks))
		seen := map[string]bool{}
		for _, s := range sinks {
			_, after, ok := strings.Cut(string(s.buf), "\nretry: ")
			require.True(t, ok, "%q", s.buf)
			retry, _, _ := strings.Cut(after, "\n")
			ms := 0
			_, err := fmt.Sscan(retry, &ms)
			require.NoError(t, err)
			require.GreaterOrEqual(t, ms, 1000)
			require.LessOrEqual(t, ms, 5001)
			seen[retry] = true
			require.Contains(t, string(s.buf), `"reason":"closed"`)
		}
		require.Greater(t, len(seen), conns/4, "they come back one by one")
		require.EqualValues(t, conns, h.Stats().Ends.Closed)
	})
}

// A connection that has something waiting is told once it has taken it, and at the end
// of the patience whatever it has taken.
func TestDrainLetsQueuesFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, engine.WithShards(1))
		slow := join(t, h, engine.Subscription{}, 10)
		stuck := join(t, h, engine.Subscription{}, 10)
		settled(h)
		require.NoError(t, h.Push(nil, message("waits")))
		settled(h)
		done := make(chan error, 1)
		go func() {
			_, err := h.Drain(t.Context(), engine.Drain{Over: time.Second, Patience: 10 * time.Second})
			done <- err
		}()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.Zero(t, ended([]*memSink{slow, stuck}))
		slow.allow(-1)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, 1, slow.closed)
		require.Equal(t, []string{"waits"}, slow.data(t))
		require.Equal(t, "closed", reasonTold(t, slow))
		require.NoError(t, <-done)
		require.ErrorIs(t, stuck.awaitClosed(), engine.ErrClosed)
	})
}

// Disconnect ends those who are meant, once, and nobody else.
func TestDisconnectEndsWhoIsMeant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		ann, ann2, tom := join(t, h, engine.Subscription{UID: "ann"}, -1), join(t, h, engine.Subscription{UID: "ann"}, -1), join(t, h, engine.Subscription{UID: "tom"}, -1)
		settled(h)
		n, err := h.Disconnect(t.Context(), engine.Disconnection{UID: "ann"})
		require.NoError(t, err)
		require.Equal(t, 2, n)
		require.ErrorIs(t, ann.awaitClosed(), engine.ErrReconnect)
		require.ErrorIs(t, ann2.awaitClosed(), engine.ErrReconnect)
		require.Equal(t, "reconnect", reasonTold(t, ann))
		list, _, err := h.Connections(t.Context(), engine.ConnectionFilter{}, "", 10)
		require.NoError(t, err)
		require.Len(t, list, 1)
		again := join(t, h, engine.Subscription{UID: "tom"}, -1)
		settled(h)
		n, err = h.Disconnect(t.Context(), engine.Disconnection{ID: list[0].ID, Reason: engine.ErrRevoked})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, "revoked", reasonTold(t, tom))
		n, err = h.Disconnect(t.Context(), engine.Disconnection{ID: list[0].ID})
		require.NoError(t, err)
		require.Zero(t, n, "it is gone")
		n, err = h.Disconnect(t.Context(), engine.Disconnection{ID: list[0].ID ^ 1<<50})
		require.NoError(t, err)
		require.Zero(t, n, "of another life of the hub")
		require.Zero(t, ended([]*memSink{again}))
		for _, wrong := range []engine.Disconnection{{}, {All: true, UID: "x"}, {All: true, RetryMin: 2, RetryMax: 1}, {All: true, Reason: engine.ErrStalled}} {
			_, err := h.Disconnect(t.Context(), wrong)
			require.Error(t, err, "%+v", wrong)
		}
		requireSums(t, h)
	})
}

// Connections end at their age, less a jitter of their own, and not before.
func TestAgedConnectionsComeBack(t *testing.T) {
	const conns, age = 200, 100 * time.Second
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, engine.WithMaxConnectionAge(age, 0.5, time.Second, 2*time.Second))
		sinks := make([]*memSink, conns)
		for i := range sinks {
			sinks[i] = join(t, h, engine.Subscription{}, -1)
		}
		settled(h)
		time.Sleep(age/2 - 2*time.Second)
		synctest.Wait()
		require.Zero(t, ended(sinks))
		time.Sleep(age/4 + age/16 + 2*time.Second)
		synctest.Wait()
		require.InDelta(t, conns/2+conns/8, ended(sinks), conns/4, "spread by the jitter")
		time.Sleep(age/4 + age/16 + 2*time.Second)
		synctest.Wait()
		require.Equal(t, conns, ended(sinks))
		require.Equal(t, "reconnect", told(sinks[0]))
		require.EqualValues(t, conns, h.Stats().Ends.Reconnect)
	})
}

// told is the reason of a disconnect event that may have a reconnection time.
func told(s *memSink) string {
	_, after, _ := strings.Cut(string(s.buf), `"reason":"`)
	reason, _, _ := strings.Cut(after, `"`)
	return reason
}

// Pages of connections, and of users, have everybody who is there from the first page
// to the last, whoever comes and goes between any two pages. Random; the seed is told.
func TestPagesUnderChurn(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for round := range 20 {
		synctest.Test(t, func(t *testing.T) {
			h := newHub(t, engine.WithShards(1+rng.IntN(4)))
			stay := map[string]bool{}
			var others []*memSink
			for i := range 20 + rng.IntN(200) {
				if uid := fmt.Sprintf("u%d", i); rng.IntN(3) > 0 {
					stay[uid] = true
					join(t, h, engine.Subscription{UID: uid}, -1)
				} else {
					others = append(others, join(t, h, engine.Subscription{UID: "o" + uid}, -1))
				}
			}
			settled(h)
			churn := func() {
				for range rng.IntN(20) {
					if i := rng.IntN(len(others) + 1); i < len(others) && rng.IntN(2) == 0 {
						others[i].sub.Hangup(nil)
						others = append(others[:i], others[i+1:]...)
					} else {
						others = append(others, join(t, h, engine.Subscription{UID: fmt.Sprintf("n%d", rng.IntN(50))}, -1))
					}
				}
				settled(h)
			}
			byConnection, byUser := map[string]bool{}, map[string]bool{}
			limit := 1 + rng.IntN(20)
			for cursor, pages := "", 0; ; pages++ {
				list, next, err := h.Connections(t.Context(), engine.ConnectionFilter{}, cursor, limit)
				require.NoError(t, err)
				require.LessOrEqual(t, len(list), limit)
				for _, c := range list {
					byConnection[c.UID] = true
				}
				if cursor = next; next == "" {
					break
				}
				churn()
			}
			for cursor := ""; ; {
				list, next, err := h.Users(t.Context(), cursor, limit)
				require.NoError(t, err)
				for _, u := range list {
					require.Positive(t, u.Connections)
					byUser[u.UID] = true
				}
				if cursor = next; next == "" {
					break
				}
				churn()
			}
			for uid := range stay {
				require.True(t, byConnection[uid], "round %d: %s is on no page of connections", round, uid)
				require.True(t, byUser[uid], "round %d: %s is on no page of users", round, uid)
			}
		})
	}
}

// What is asked of a shard is done in parts, and ends with its context.
func TestErrandsEndWithTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, engine.WithShards(1))
		join(t, h, engine.Subscription{}, 0)
		settled(h)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := h.Disconnect(ctx, engine.Disconnection{All: true, Over: time.Hour})
		if err == nil { // it was due at once, being the first
			return
		}
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
	h := newHub(t)
	h.Close()
	_, _, err := h.Connections(t.Context(), engine.ConnectionFilter{}, "", 1)
	require.ErrorIs(t, err, engine.ErrClosed)
}
