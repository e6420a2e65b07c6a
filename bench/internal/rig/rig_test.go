//go:build linux

package rig_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/bench/internal/rig"
	"github.com/spatehub/spate/bench/internal/server"
	"github.com/spatehub/spate/loadtest/stamp"
)

func TestMain(m *testing.M) {
	c := server.Ours()
	c["faulty"] = newFaulty
	rig.Main(c)
	os.Exit(m.Run())
}

// TestServersDeliverAll: every server of the main module brings every event to those it is for, once and in order, with
// and without a schedule, so that what the benchmarks compare does the same work.
func TestServersDeliverAll(t *testing.T) {
	for name := range server.Ours() {
		if name == server.Schedule {
			continue
		}
		for kind, load := range map[string]rig.Load{
			"broadcast": {Streams: 20, Kind: stamp.Broadcast},
			"users":     {Streams: 20, Kind: stamp.User},
			"topics":    {Streams: 20, Kind: stamp.Topic, Targets: 5},
		} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				r, err := rig.New(name, load)
				require.NoError(t, err)
				defer r.Close()
				c, err := r.Connect(8)
				require.NoError(t, err)
				require.Equal(t, load.Streams, c.Open)
				receivers := uint64(1)
				switch load.Kind {
				case stamp.Broadcast:
					receivers = 20
				case stamp.Topic:
					receivers = 4
				}
				works := []rig.Work{{Rate: 2000, Events: 100, Size: 200, Duration: time.Second}}
				if load.Kind == stamp.Broadcast {
					works = append(works, rig.Work{Window: 64, Events: 1000, Size: 300, Duration: 10 * time.Second})
				}
				for _, w := range works {
					f, err := r.Run(w)
					require.NoError(t, err)
					require.Empty(t, f.Faults())
					require.Equal(t, w.Events, f.Events)
					require.Equal(t, w.Events*receivers, f.Deliveries)
				}
			})
		}
	}
}
