package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/stretchr/testify/require"
)

// Invariant 1, whatever the clock does: one that stands 26 years before the log's
// last ID, also after a restart.
func TestClockThatJumps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := keptLog()
		ahead := uint64(time.Now().AddDate(26, 0, 0).UnixMicro()) * 4
		require.NoError(t, log.Append(t.Context(), []persist.Record{{ID: ahead, Time: 1, Frame: []byte("id: 1\ndata: x\n\n")}}))
		h := newHub(t, engine.WithLog(log), engine.WithHeartbeat(10*time.Second))
		s := join(t, h, engine.Subscription{}, -1)
		ids := pushN(t, h, 3)
		require.Greater(t, ids[0], ahead, "the clock is far behind")

		time.Sleep(10 * time.Minute)
		more := pushN(t, h, 3)
		require.Greater(t, more[0], ids[2])
		synctest.Wait()
		require.Equal(t, append(ids, more...), s.ids(t))
		beats := h.Stats().Heartbeats
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Greater(t, h.Stats().Heartbeats, beats)
		h.Close()

		again := newHub(t, engine.WithLog(log))
		require.Greater(t, pushN(t, again, 1)[0], more[2])
	})
}
