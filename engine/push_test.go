package engine_test

import (
	"context"
	"strings"
	"testing"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

func TestPushReachesEveryone(t *testing.T) {
	h := newHub(t)
	a := join(t, h, engine.Subscription{UID: "a"}, -1)
	b := join(t, h, engine.Subscription{}, -1)
	e := message("hello")
	before := *e
	ids, err := h.Publish(context.Background(), nil, e, message("again"))
	require.NoError(t, err)
	require.Equal(t, before, *e, "the caller's event is not changed")
	require.Equal(t, ids[0]+1, ids[1])
	for _, s := range []*memSink{a, b} {
		s.awaitText("again")
		require.Equal(t, []string{"hello", "again"}, s.data(t))
		require.Equal(t, ids, s.ids(t))
	}
}

// Invariants 4 and 10, live.
func TestPrivateEventsReachAllConnectionsOfTheUserAndNobodyElse(t *testing.T) {
	h := newHub(t)
	tab1 := join(t, h, engine.Subscription{UID: "u1"}, -1)
	tab2 := join(t, h, engine.Subscription{UID: "u1"}, -1)
	other := join(t, h, engine.Subscription{UID: "u2"}, -1)
	anon := join(t, h, engine.Subscription{}, -1)
	require.NoError(t, h.Push([]string{"u1"}, message("mine")))
	require.NoError(t, h.Push([]string{"u1", "u2", "u1"}, message("ours")))
	tab1.sub.Hangup(nil)
	require.ErrorIs(t, tab1.awaitClosed(), engine.ErrHangup)
	require.NoError(t, h.Push([]string{"u1"}, message("mine still")))
	require.NoError(t, h.Push(nil, message("end")))
	for _, s := range []*memSink{tab2, other, anon} {
		s.awaitText("end")
	}
	require.Equal(t, []string{"mine", "ours", "mine still", "end"}, tab2.data(t))
	require.Equal(t, []string{"ours", "end"}, other.data(t))
	require.Equal(t, []string{"end"}, anon.data(t))
	require.Equal(t, 3, h.OnlineClientsNum())
}

func TestTopicsReachFollowersOnly(t *testing.T) {
	h := newHub(t)
	ab := join(t, h, engine.Subscription{UID: "u", Topics: []string{"b", "a", "a"}}, -1)
	a := join(t, h, engine.Subscription{Topics: []string{"a"}}, -1)
	none := join(t, h, engine.Subscription{UID: "u"}, -1)
	for _, topic := range []string{"a", "b", "c", ""} {
		require.NoError(t, h.Push(nil, &wire.Event{Topic: topic, Data: "t" + topic}))
	}
	require.NoError(t, h.Push([]string{"u"}, &wire.Event{Topic: "a", Data: "private a"}))
	require.NoError(t, h.Push(nil, message("end")))
	for _, s := range []*memSink{ab, a, none} {
		s.awaitText("end")
	}
	require.Equal(t, []string{"ta", "tb", "t", "private a", "end"}, ab.data(t))
	require.Equal(t, []string{"ta", "t", "end"}, a.data(t))
	require.Equal(t, []string{"t", "end"}, none.data(t))
}

func TestPushRefusesWhatItCannotMean(t *testing.T) {
	h := newHub(t, engine.WithMaxEventSize(2048))
	s := join(t, h, engine.Subscription{UID: "u"}, -1)
	require.ErrorIs(t, h.Push([]string{}, message("x")), engine.ErrNoUsers)
	require.ErrorIs(t, h.Push(nil), engine.ErrNoEvents)
	require.ErrorIs(t, h.Push(nil, nil), engine.ErrNoEvents)
	require.ErrorIs(t, h.Push(nil, &wire.Event{Data: "x", Users: []string{}}), engine.ErrNoUsers)
	require.ErrorIs(t, h.Push(nil, message(string(make([]byte, 4096)))), engine.ErrTooLarge)
	require.ErrorIs(t, h.Push(nil, make([]*wire.Event, 5000)...), engine.ErrTooMany)
	var field *wire.FieldError
	require.ErrorAs(t, h.Push(nil, message("ok"), &wire.Event{Event: "a\nb", Data: "x"}), &field)
	require.Equal(t, "event", field.Field)
	for _, own := range []string{engine.GapEvent, engine.DisconnectEvent} {
		for _, ephemeral := range []bool{false, true} {
			err := h.Push(nil, message("ok"), &wire.Event{Event: own, Data: "x", Ephemeral: ephemeral})
			require.ErrorAs(t, err, &field, "no event can pass for the hub's own word")
			require.Equal(t, "event", field.Field)
			var at *engine.EventError
			require.ErrorAs(t, err, &at)
			require.Equal(t, 1, at.Index)
		}
	}
	require.ErrorAs(t, h.Push([]string{""}, message("x")), &field)
	require.Equal(t, "users", field.Field)
	require.NoError(t, h.Push(nil, message("end")))
	s.awaitText("end")
	require.Equal(t, []string{"end"}, s.data(t), "nothing of a refused push is published")

	lines := strings.Repeat("\n", 2048)
	require.NoError(t, h.Push(nil, message(lines)), "the bound is on the data, whatever frame that makes")
	require.ErrorIs(t, h.Push(nil, message(lines+"\n")), engine.ErrTooLarge)
	settled(h)
	require.Equal(t, []string{"end", lines}, s.data(t))
}

// Events without an ID move nobody's position.
func TestEphemeralEventsHaveNoID(t *testing.T) {
	h := newHub(t, engine.WithEnableResendEvents())
	s := join(t, h, engine.Subscription{}, -1)
	ids, err := h.Publish(context.Background(), nil, message("one"),
		&wire.Event{Data: "tick", Ephemeral: true}, message("two"))
	require.NoError(t, err)
	require.Zero(t, ids[1])
	s.awaitText("two")
	s.mu.Lock()
	require.Contains(t, string(s.buf), "\n\ndata: tick\n\n")
	s.mu.Unlock()
}

func TestEventUsersAreTheAudienceWithoutUids(t *testing.T) {
	h := newHub(t)
	u1 := join(t, h, engine.Subscription{UID: "u1"}, -1)
	u2 := join(t, h, engine.Subscription{UID: "u2"}, -1)
	require.NoError(t, h.Push(nil, &wire.Event{Data: "private", Users: []string{"u1"}}))
	require.NoError(t, h.Push(nil, message("end")))
	u1.awaitText("end")
	u2.awaitText("end")
	require.Equal(t, []string{"private", "end"}, u1.data(t))
	require.Equal(t, []string{"end"}, u2.data(t))
}
