package engine_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// gap is a gap event's data, as numbers.
type gap struct{ from, to uint64 }

func gapOf(t testing.TB, e wire.Event) gap {
	t.Helper()
	g := gapData(t, e)
	from, err := wire.ParseID(g.From)
	require.NoError(t, err)
	to, err := wire.ParseID(g.To)
	require.NoError(t, err)
	return gap{from, to}
}

// gapsOf lists the gaps that a stream tells.
func gapsOf(t testing.TB, s *memSink) (gaps []gap) {
	for _, e := range s.events(t) {
		if e.Event == engine.GapEvent {
			gaps = append(gaps, gapOf(t, e))
		}
	}
	return gaps
}

// canResume says whether a connection that comes with the ID misses nothing.
func canResume(h *engine.Hub, id string, topics []string) (bool, error) {
	seat, err := h.Seat(context.Background(), engine.Subscription{LastEventID: id, Topics: topics})
	if err != nil {
		return false, err
	}
	_, lost := seat.Gap()
	return !lost, nil
}

// gapData parses a gap event's data as it is.
func gapData(t testing.TB, e wire.Event) (g engine.Gap) {
	t.Helper()
	require.Equal(t, engine.GapEvent, e.Event)
	require.NoError(t, json.Unmarshal([]byte(e.Data.(string)), &g))
	return g
}
