package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
)

// Invariant 5: very many users who come at once, more than fit into the ring, and one
// whose name is too long for an event, do not end the word of presence, which would
// then let no user in any more.
func TestPresenceOutlastsACrowd(t *testing.T) {
	l := newFakeLog()
	release := l.hold()
	hub := engine.NewHub(engine.WithLog(l), engine.WithChanBufferSize(16), engine.WithMaxEventSize(1<<10), engine.WithPresence("who"), engine.WithLogger(testLogger(t)))
	defer hub.Close()
	const users = 200
	for i := range users {
		if i == users/2 {
			_, err := hub.Subscribe(engine.Subscription{UID: strings.Repeat("<", 256)}, newSink(-1))
			require.NoError(t, err)
		}
		_, err := hub.Subscribe(engine.Subscription{UID: fmt.Sprint("u", i)}, newSink(-1))
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return hub.OnlineClientsNum() == users+1 }, 20*time.Second, time.Millisecond)
	release()
	require.Eventually(t, func() bool { return len(l.ids(t)) >= 1+users }, 20*time.Second, 10*time.Millisecond, "the reset, and a join of each")
}
