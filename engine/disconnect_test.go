package engine_test

import (
	"context"
	"testing"

	"github.com/spatehub/spate/engine"
	"github.com/stretchr/testify/require"
)

func disconnect(t *testing.T, h *engine.Hub, d engine.Disconnection) int {
	t.Helper()
	told, err := h.Disconnect(context.Background(), d)
	require.NoError(t, err)
	return told
}

// A user is disconnected whose connections wait for their shard to come to their place;
// nobody else is.
func TestDisconnectOfThoseThatWaitForTheirPlace(t *testing.T) {
	f := newFakeLog()
	h := newHub(t, engine.WithLog(f), engine.WithShards(1))
	other := join(t, h, engine.Subscription{UID: "other"}, -1)
	settled(h)
	release := f.hold()
	pushed, err := h.PushAsync(nil, message("x"))
	require.NoError(t, err)
	var early []*memSink
	for _, sub := range []engine.Subscription{{UID: "u"}, {UID: "u", LastEventID: "1"}, {UID: "u"}} {
		early = append(early, join(t, h, sub, -1))
	}
	stays := join(t, h, engine.Subscription{UID: "stays"}, -1)

	require.Equal(t, 3, disconnect(t, h, engine.Disconnection{UID: "u"}))
	for _, s := range early {
		require.ErrorIs(t, s.awaitClosed(), engine.ErrReconnect)
	}
	release()
	_, err = pushed.Wait(context.Background())
	require.NoError(t, err)
	require.NoError(t, h.Push(nil, message("y")))
	stays.awaitText("data: y\n")
	other.awaitText("data: y\n")
	require.Equal(t, []string{"x", "y"}, other.data(t))
	require.NoError(t, engine.Audit(h))
}
