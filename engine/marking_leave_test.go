package engine_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// A user whose connections end while a large audience is being marked is told, and
// counted, once, as if they had ended before: also where one came and went meanwhile.
func TestALeaverIsToldWhileAnAudienceIsMarked(t *testing.T) {
	const n = 20
	users := make([]string, n)
	for i := range users {
		users[i] = fmt.Sprintf("user-%05d", i)
	}
	for _, c := range []struct {
		name        string
		user        int // who has the connection
		come, leave int // after which pass it comes, and goes; 0: before the push
		end         func(*memSink)
	}{
		{"hung up before the push", 0, 0, 0, hangup},
		{"hung up", 0, 0, 2, hangup},
		{"revoked", 0, 0, 2, func(s *memSink) { s.sub.Revoke() }},
		{"expired", 0, 0, 2, func(s *memSink) { s.sub.Expire() }},
		{"not looked for yet", n - 1, 0, 2, hangup},
		{"came when it was told", 0, 2, 3, hangup},
		{"came before it was looked for", n - 1, 2, 3, hangup},
	} {
		t.Run(c.name, func(t *testing.T) {
			told := newFailures()
			h := newHub(t, engine.WithShards(1), engine.WithMarkBudget(4*engine.MarkCost), engine.WithHeartbeat(-1), told.option())
			join(t, h, engine.Subscription{UID: "other"}, -1)
			seat := seatOf(t, h, engine.Subscription{UID: users[c.user]})
			var s *memSink
			passes := 0
			step := func() {
				if passes == c.come {
					s = take(t, seat, -1)
				}
				if passes == c.leave {
					c.end(s)
				}
			}
			step()
			settled(h)
			engine.Passes(h, func() { require.NoError(t, h.Push(users, message("one"))) }, func() bool {
				passes++
				step()
				return true
			})
			require.Greater(t, passes, 4)
			st := requireSums(t, h)
			told.await(int(st.Failed + st.NoReceiver))
			h.Close()
			got := map[string]int{}
			for _, f := range told.await(0) {
				got[f.uid]++
			}
			require.Len(t, got, n)
			for uid, times := range got {
				require.Equal(t, 1, times, uid)
			}
			require.EqualValues(t, n, st.Pushed)
			require.EqualValues(t, n, st.Failed+st.NoReceiver)
			require.Empty(t, s.data(t))
		})
	}
}

func hangup(s *memSink) { s.sub.Hangup(nil) }

// comer is a connection of the test below.
type comer struct {
	*memSink
	seat   *engine.Seat // not taken yet
	meant  bool         // the event is for it
	before bool         // it was there before the push
}

// Whoever comes and goes while an audience is being marked, each connection that stays
// gets the event, and each user whom it does not reach is told: once, where it has had
// one connection at most.
func TestWhoComesAndGoesWhileAnAudienceIsMarked(t *testing.T) {
	n := seed(t)
	for round := range 60 {
		rng := rand.New(rand.NewPCG(n, uint64(round)))
		told := newFailures()
		h := newHub(t, engine.WithShards(1), engine.WithMarkBudget((1+rng.IntN(4))*engine.MarkCost), engine.WithHeartbeat(-1), told.option())
		var users []string
		conns := map[string][]*comer{}
		var all []*comer
		for i := range 40 {
			uid := fmt.Sprintf("user-%02d", i)
			users = append(users, uid)
			for range rng.IntN(3) {
				c := &comer{meant: rng.IntN(4) > 0, before: rng.IntN(3) > 0}
				sub := engine.Subscription{UID: uid, StallTimeout: -1}
				if c.meant {
					sub.Topics = []string{"t"}
				}
				if c.before {
					c.memSink = join(t, h, sub, -rng.IntN(2)) // some of them will lag
				} else {
					c.seat = seatOf(t, h, sub)
				}
				conns[uid] = append(conns[uid], c)
				all = append(all, c)
			}
		}
		settled(h)
		require.NoError(t, h.Push(nil, message("fill")))
		settled(h)
		engine.Passes(h, func() { require.NoError(t, h.Push(users, &wire.Event{Topic: "t", Data: "one"})) }, func() bool {
			for range rng.IntN(4) {
				c := all[rng.IntN(len(all))]
				switch {
				case c.memSink == nil:
					c.memSink = take(t, c.seat, -1)
				case rng.IntN(2) == 0:
					c.end(rng)
				}
			}
			return true
		})
		for _, c := range all {
			if c.memSink != nil {
				c.allow(-1)
			}
		}
		st := requireSums(t, h)
		require.Zero(t, st.Pending)
		told.await(int(st.Failed + st.NoReceiver))
		h.Close()
		list := told.await(0)
		require.EqualValues(t, st.Failed+st.NoReceiver, len(list), "round %d", round)
		lost := map[string]int{}
		for _, f := range list {
			if f.ev.Data == "one" {
				lost[f.uid]++
			}
		}
		for _, uid := range users {
			requireTold(t, conns[uid], lost[uid], fmt.Sprintf("round %d, %s", round, uid))
		}
	}
}

// end ends the connection in one of several ways.
func (c *comer) end(rng *rand.Rand) {
	switch rng.IntN(3) {
	case 0:
		c.sub.Hangup(nil)
	case 1:
		c.sub.Expire()
	default:
		c.sub.Revoke()
	}
}

// requireTold holds how often a user with these connections may be told.
func requireTold(t *testing.T, conns []*comer, told int, where string) {
	t.Helper()
	conns = slices.DeleteFunc(slices.Clone(conns), func(c *comer) bool { return !c.meant || c.memSink == nil })
	got, missed, late := 0, 0, 0
	for _, c := range conns {
		if !c.before {
			late++
		}
		if slices.Contains(c.data(t), "one") {
			got++
		} else {
			missed++
		}
	}
	switch {
	case got == 0:
		require.GreaterOrEqual(t, told, 1, where)
		require.LessOrEqual(t, told, max(1, missed), where)
	case late == len(conns): // it may have been told before
		require.LessOrEqual(t, told, max(1, missed), where)
	default:
		require.LessOrEqual(t, told, missed, where)
	}
	if len(conns) == 1 && late == 0 {
		require.Equal(t, missed, told, where)
	}
}
