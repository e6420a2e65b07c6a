package cluster_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/cluster"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// Invariant 5: IDs that strangers have made up cost a cluster a few small messages a
// second of each hub, however many clients there are, and hold nobody else up.
func TestMadeUpIDsCostAClusterLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		o := &scripted{pages: make(chan cluster.Page)}
		o.head = func() (uint64, error) { asked.Add(1); return 1000, nil }
		hub, node := scriptedHub(t, o)
		<-time.After(time.Second)
		require.NoError(t, node.Ready())
		before := asked.Load()
		const seconds = 20
		ctx, cancel := context.WithTimeout(t.Context(), seconds*time.Second)
		defer cancel()
		var strangers sync.WaitGroup
		var answered atomic.Int64
		for i := range 300 {
			strangers.Go(func() {
				for id := uint64(2000 + i); ctx.Err() == nil; id += 300 {
					seat, err := hub.Seat(ctx, engine.Subscription{LastEventID: wire.FormatID(id)})
					if err != nil {
						continue
					}
					if _, lost := seat.Gap(); lost {
						answered.Add(1)
					}
				}
			})
		}
		strangers.Wait()
		require.Greater(t, answered.Load(), int64(300*seconds/4), "each is told the gap, and soon")
		require.LessOrEqual(t, asked.Load()-before, int64(10*seconds+seconds), "for all of them together")
		hub.Close()
	})
}
