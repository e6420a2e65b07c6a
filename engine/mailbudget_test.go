package engine

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/wire"
)

// While events wait in the ring, a pass takes in fewer of those who ask for something before it comes to them.
func TestMailIsShorterWhileEventsWait(t *testing.T) {
	taken := func(waiting bool) int {
		cfg := newConfig([]HubOption{WithLogger(slog.New(slog.DiscardHandler)), WithShards(1)})
		h := buildHub(cfg, nil, 1000)
		s := h.shards[0]
		for range maxMail {
			seat, err := h.Seat(t.Context(), Subscription{})
			require.NoError(t, err)
			_, err = seat.Take(&beatSink{})
			require.NoError(t, err)
		}
		if waiting {
			require.NoError(t, h.Push(nil, &wire.Event{Data: "x"}))
		}
		s.beginPass()
		s.runMail()
		return len(s.books.clients) + len(s.early.list)
	}
	free := taken(false)
	require.Greater(t, free, 150)
	require.Less(t, taken(true), free/2)
}
