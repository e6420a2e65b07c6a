package engine_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// A connection that the hub ends before its shard has got to where it begins learns why,
// and where it stands, as others do: its stream has an orderly end.
func TestCloseTellsConnectionsNotYetAdmitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeLog()
		h := engine.NewHub(engine.WithLogger(testLogger(t)), engine.WithShards(1), engine.WithLog(f), engine.WithEnableResendEvents(), engine.WithDrainTimeout(time.Second))
		require.NoError(t, h.Push(nil, message("kept")))
		first := h.LastID()
		release := f.hold()
		_, err := h.PushAsync(nil, message("held up"))
		require.NoError(t, err)
		live := join(t, h, engine.Subscription{}, -1)
		synctest.Wait()
		require.Equal(t, 1, engine.Early(h))
		h.Close()
		require.ErrorIs(t, live.awaitClosed(), engine.ErrClosed)
		events := live.events(t)
		require.Len(t, events, 1)
		require.Equal(t, engine.DisconnectEvent, events[0].Event)
		require.Equal(t, wire.FormatID(first+1), events[0].ID)
		release() // and the goroutines that it held end
		require.NoError(t, h.Shutdown(context.Background()))
	})
}

// A connection whose Subscribe returned before a push gets the event, also if
// its shard hears of the connection only after Close began.
func TestCloseServesConnectionsNotYetAdmitted(t *testing.T) {
	for range 200 {
		h := engine.NewHub(engine.WithLogger(testLogger(t)), engine.WithShards(1))
		s := join(t, h, engine.Subscription{}, -1)
		require.NoError(t, h.Push(nil, message("last words")))
		h.Close()
		require.Equal(t, []string{"last words"}, s.data(t))
		require.ErrorIs(t, s.awaitClosed(), engine.ErrClosed)
	}
}
