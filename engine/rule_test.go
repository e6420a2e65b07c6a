package engine_test

import (
	"context"
	"slices"
	"testing"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/pebblelog"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// admits is the rule of audience once more, as dumb as can be.
func admits(sub engine.Subscription, e *wire.Event) bool {
	if e.Users != nil && !slices.Contains(e.Users, sub.UID) {
		return false
	}
	if e.Topic != "" {
		return slices.ContainsFunc(sub.Topics, func(s string) bool {
			p, err := wire.ParsePattern(s)
			return err == nil && p.Match(e.Topic)
		})
	}
	return e.Users != nil || !sub.OnlyTopics
}

// everyWish and everyAudience are all there are over two users, two topics and
// somebody and something else, and some patterns.
func everyWish() (subs []engine.Subscription) {
	for _, uid := range []string{"", "a", "b"} {
		for _, topics := range [][]string{nil, {"x"}, {"y"}, {"y", "x"}, {">"}, {"*", "x"}, {"p.*", "y"}, {"p.>", "p.q"}, {"*.q"}} {
			for _, only := range []bool{false, true} {
				if !only || uid != "" || topics != nil {
					subs = append(subs, engine.Subscription{UID: uid, Topics: topics, OnlyTopics: only})
				}
			}
		}
	}
	return subs
}

func everyAudience() (events []*wire.Event) {
	for _, users := range [][]string{nil, {"a"}, {"b"}, {"b", "a"}, {"c", "a"}, {"c"}, {"d", "c"}} {
		for _, topic := range []string{"", "x", "y", "z", "p.q", "p.q.r"} {
			events = append(events, &wire.Event{Users: users, Topic: topic, Data: "x"})
		}
	}
	return events
}

// Invariant 4: every way from an event to its receivers goes by one rule: live,
// one by one and in a batch, out of the window, and on resend from the window, from
// a log with and without an index, and from a plain store.
func TestOneRuleOfAudience(t *testing.T) {
	ways := map[string]func(t *testing.T) []engine.HubOption{
		"ring":       func(*testing.T) []engine.HubOption { return []engine.HubOption{engine.WithChanBufferSize(1024)} },
		"memory log": func(*testing.T) []engine.HubOption { return []engine.HubOption{engine.WithLog(persist.NewMemory())} },
		"no index": func(*testing.T) []engine.HubOption {
			return []engine.HubOption{engine.WithLog(newFakeLog())}
		},
		"plain store": func(*testing.T) []engine.HubOption {
			return []engine.HubOption{engine.WithStore(&sliceStore{})}
		},
		"pebble log": func(t *testing.T) []engine.HubOption {
			log, err := pebblelog.Open(t.TempDir(), pebblelog.WithSync(false))
			require.NoError(t, err)
			return []engine.HubOption{engine.WithLog(log)}
		},
	}
	for name, opts := range ways {
		for _, marks := range markBudgets {
			t.Run(name+", "+marks.name, func(t *testing.T) {
				requireOneRule(t, name != "ring", append(opts(t), engine.WithMarkBudget(marks.cost)))
			})
		}
	}
}

// requireOneRule compares the ways of a hub.
func requireOneRule(t *testing.T, hasLog bool, opts []engine.HubOption) {
	h := newHub(t, append([]engine.HubOption{engine.WithChanBufferSize(256), engine.WithShards(3), engine.WithEnableResendEvents()}, opts...)...)
	start := wire.FormatID(pushN(t, h, 1)[0])
	settled(h)
	before := h.Stats().NoReceiver
	subs, events := everyWish(), everyAudience()
	var live, slow []*memSink
	for _, sub := range subs {
		live = append(live, join(t, h, sub, -1))
		slow = append(slow, join(t, h, sub, 0))
	}
	var ids []uint64
	for _, e := range events { // one by one
		got, err := h.Publish(context.Background(), nil, e)
		require.NoError(t, err)
		ids = append(ids, got...)
		settled(h)
	}
	for batch := range slices.Chunk(events, engine.QueueLen(h)) { // and at once
		got, err := h.Publish(context.Background(), nil, batch...)
		require.NoError(t, err)
		ids = append(ids, got...)
	}
	settled(h)
	require.Equal(t, 2*unreceived(subs, events), int(h.Stats().NoReceiver-before), "who had a receiver")
	for i, sub := range subs {
		var want []uint64
		for n, id := range ids {
			if admits(sub, events[n%len(events)]) {
				want = append(want, id)
			}
		}
		slow[i].allow(-1)
		sub.LastEventID = start
		resumed := join(t, h, sub, -1)
		settled(h)
		require.Equal(t, want, live[i].ids(t), "live: %+v", sub)
		require.Equal(t, want, slow[i].ids(t), "out of the window: %+v", sub)
		require.Equal(t, want, resumed.ids(t), "resumed: %+v", sub)
	}
	for range 300 { // out of every window
		require.NoError(t, h.Push([]string{"nobody"}, &wire.Event{Data: "x"}))
	}
	settled(h)
	for i, sub := range subs {
		if !hasLog {
			break
		}
		sub.LastEventID = start
		s := join(t, h, sub, -1)
		settled(h)
		require.Equal(t, live[i].ids(t), s.ids(t), "from the log: %+v", sub)
	}
	requireSums(t, h)
}

// unreceived counts the receivers that are not there: users without a connection
// that may have the event, and audiences without any.
func unreceived(subs []engine.Subscription, events []*wire.Event) (n int) {
	for _, e := range events {
		users := e.Users
		if users == nil {
			users = []string{""}
		}
		for _, uid := range users {
			if !slices.ContainsFunc(subs, func(sub engine.Subscription) bool {
				return (e.Users == nil || sub.UID == uid) && admits(sub, e)
			}) {
				n++
			}
		}
	}
	return n
}

// A connection that wants its topics only is no receiver of what is for everybody.
func TestOnlyTopicsIsNoReceiverOfWhatIsForEverybody(t *testing.T) {
	h := newHub(t, engine.WithShards(1))
	s := join(t, h, engine.Subscription{Topics: []string{"x"}, OnlyTopics: true}, -1)
	settled(h)
	require.NoError(t, h.Push(nil, message("all")))
	require.NoError(t, h.Push(nil, &wire.Event{Topic: "x", Data: "mine"}))
	require.Equal(t, uint64(1), settled(h).NoReceiver)
	require.Equal(t, []string{"mine"}, s.data(t))
	_, err := h.Seat(context.Background(), engine.Subscription{OnlyTopics: true})
	var wrong *wire.FieldError
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, "topics", wrong.Field)
}
