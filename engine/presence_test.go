package engine_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// Joins and leaves are told exactly once for each transition, in the order of each
// user, as a plain count of connections has them. Random churn; the seed is told.
func TestPresenceTellsEachTransitionOnce(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, engine.WithPresence("presence"), engine.WithStore(persist.NewMemory()), engine.WithEnableResendEvents())
		watcher := join(t, h, engine.Subscription{Topics: []string{"presence"}, LastEventID: engine.Earliest}, -1)
		time.Sleep(time.Second)
		conns := map[string][]*memSink{}
		want := map[string][]string{}
		for range 3000 {
			time.Sleep(time.Millisecond) // of the bubble: the IDs of what was told are due, and who has joined is in
			uid := fmt.Sprintf("u%d", rng.IntN(10))
			if mine := conns[uid]; len(mine) > 0 && rng.IntN(2) == 0 {
				i := rng.IntN(len(mine))
				mine[i].sub.Hangup(nil)
				mine[i].awaitClosed()
				conns[uid] = append(mine[:i:i], mine[i+1:]...)
				if len(mine) == 1 {
					want[uid] = append(want[uid], engine.LeaveEvent)
				}
			} else {
				if len(mine) == 0 {
					want[uid] = append(want[uid], engine.JoinEvent)
				}
				conns[uid] = append(mine, join(t, h, engine.Subscription{UID: uid}, -1))
			}
		}
		time.Sleep(time.Minute) // IDs are not given faster than the clock goes
		settled(h)
		got := map[string][]string{}
		for i, e := range watcher.events(t) {
			if i == 0 {
				require.Equal(t, engine.ResetEvent, e.Event)
				continue
			}
			var p engine.Presence
			require.NoError(t, json.Unmarshal([]byte(e.Data.(string)), &p))
			got[p.UID] = append(got[p.UID], e.Event)
		}
		require.Equal(t, want, got)
	})
}

// Nobody else's event passes for the hub's word of who comes and goes.
func TestPresenceTopicIsTheHubs(t *testing.T) {
	h := newHub(t, engine.WithPresence("presence"))
	e := &wire.Event{Topic: "presence", Data: "x", Event: engine.JoinEvent}
	var field *wire.FieldError
	require.ErrorAs(t, h.Push(nil, message("x"), e), &field)
	_, err := h.PublishNoted(t.Context(), 1, []string{"u"}, e)
	require.ErrorAs(t, err, &field)
	_, err = h.PushAsync(nil, e)
	require.ErrorAs(t, err, &field)
	require.Equal(t, "topic", field.Field)
}

// A note is in the log with its events, and reaches nobody: no stream, no page, no
// callback.
func TestNotesAreForNobody(t *testing.T) {
	log := persist.NewMemory()
	told := newFailures()
	h := newHub(t, told.option(), engine.WithStore(log), engine.WithEnableResendEvents())
	s := join(t, h, engine.Subscription{UID: "u", Topics: []string{">"}}, -1)
	ids, err := h.PublishNoted(t.Context(), map[string]int{"n": 7}, []string{"u"},
		&wire.Event{Data: "a"}, &wire.Event{Data: "b", Ephemeral: true}, &wire.Event{Data: "c"})
	require.NoError(t, err)
	require.Equal(t, []uint64{ids[0], 0, ids[0] + 1}, ids)
	settled(h)
	late := join(t, h, engine.Subscription{UID: "u", Topics: []string{">"}, LastEventID: engine.Earliest}, -1)
	settled(h)
	require.Equal(t, []string{"a", "b", "c"}, s.data(t))
	require.Equal(t, []string{"a", "c"}, late.data(t))
	require.Empty(t, told.data(t))
	require.Zero(t, requireSums(t, h).NoReceiver)
	seat, err := h.Seat(t.Context(), engine.Subscription{UID: "u", LastEventID: engine.Earliest})
	require.NoError(t, err)
	page, err := seat.History(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, page.Events, 2)
	var notes []engine.Note
	require.NoError(t, h.Notes(t.Context(), page.Events[0].Time.Add(-1e9), func(n engine.Note) error { notes = append(notes, n); return nil }))
	require.Len(t, notes, 1)
	require.Equal(t, ids[0]-1, notes[0].ID)
	require.JSONEq(t, `{"n":7}`, string(notes[0].Data))
	_, err = h.Seat(t.Context(), engine.Subscription{UID: persist.NoteUser})
	require.Error(t, err, "nobody can be who notes are for")
}
