package engine_test

import (
	"testing"

	"github.com/spatehub/spate/engine"
	"github.com/stretchr/testify/require"
)

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
