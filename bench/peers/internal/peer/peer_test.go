//go:build linux

package peer_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/bench/internal/rig"
	"github.com/spatehub/spate/bench/peers/internal/peer"
	"github.com/spatehub/spate/loadtest/stamp"
)

func TestMain(m *testing.M) {
	rig.Main(peer.Catalog())
	os.Exit(m.Run())
}

// TestPeersDeliverAll: under a load that none of them should mind, every peer brings every event to those it is for, so
// that the table compares libraries and not mistakes in how they are set up.
func TestPeersDeliverAll(t *testing.T) {
	for _, p := range peer.All() {
		for kind, load := range map[string]rig.Load{
			"broadcast": {Streams: 20, Kind: stamp.Broadcast},
			"users":     {Streams: 20, Kind: stamp.User},
		} {
			t.Run(p.Name+"/"+kind, func(t *testing.T) {
				r, err := rig.New(p.Name, load)
				require.NoError(t, err)
				defer r.Close()
				c, err := r.Connect(8)
				require.NoError(t, err)
				require.Equal(t, load.Streams, c.Open)
				receivers := uint64(20)
				if load.Kind == stamp.User {
					receivers = 1
				}
				f, err := r.Run(rig.Work{Rate: 200, Events: 40, Size: 200, Duration: time.Second})
				require.NoError(t, err)
				f.Disorder = 0 // sponge's, by its design
				require.Empty(t, f.Faults())
				require.Equal(t, 40*receivers, f.Deliveries)
			})
		}
	}
}
