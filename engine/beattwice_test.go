package engine

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

// beatSink counts what it is sent.
type beatSink struct {
	writes int
	fails  bool
}

func (s *beatSink) Write(p []byte) (int, error) {
	s.writes++
	if s.fails {
		return 0, errors.New("reset")
	}
	return len(p), nil
}

func (*beatSink) Close(error) {}

// A look at idle clients that begins in the middle of a share, and has several ticks to catch up with, comes to its first
// clients again before their batch is written: they get one comment, and one that fails ends once.
func TestOneCommentThoughALookComesTwice(t *testing.T) {
	cfg := newConfig([]HubOption{WithLogger(slog.New(slog.DiscardHandler)), WithShards(1),
		WithBatchWriter(func() (BatchWriter, error) { return &LateWriter{}, nil })})
	h := buildHub(cfg, nil, 1000)
	h.openWriters()
	h.beatTicks = 8
	s := h.shards[0]
	sinks := make([]*beatSink, 12)
	for i := range sinks {
		sinks[i] = &beatSink{fails: i == 5}
		seat, err := h.Seat(t.Context(), Subscription{})
		require.NoError(t, err)
		_, err = seat.Take(sinks[i])
		require.NoError(t, err)
	}
	for s.pass() {
	}
	const share = 1
	s.tick = 20
	s.ticks.Store(20)
	s.beats = beating{tick: 16, share: share, next: share} // the shares 2, 3, 0 and 1 are due
	s.heartbeats()
	for i, sink := range sinks {
		require.Equal(t, 1, sink.writes, i)
	}
	for s.pass() {
	}
	require.Len(t, s.books.clients, len(sinks)-1)
	require.Empty(t, s.troubled.list)
}
