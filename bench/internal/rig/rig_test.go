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

// TestStreamsComeAndGo: streams that stay get every event while others come and go, each for its events.
func TestStreamsComeAndGo(t *testing.T) {
	r, err := rig.New("spate", rig.Load{Streams: 20, Churn: 10, Stay: 5, Kind: stamp.Broadcast})
	require.NoError(t, err)
	defer r.Close()
	_, err = r.Connect(8)
	require.NoError(t, err)
	f, err := r.Run(rig.Work{Rate: 200, Events: 200, Size: 200, Duration: 10 * time.Second})
	require.NoError(t, err)
	require.Empty(t, f.Faults())
	require.Equal(t, uint64(200*20), f.Deliveries)
	require.GreaterOrEqual(t, f.Reopened, uint64(10), "each of them at least once")
	require.GreaterOrEqual(t, f.Passed, 5*f.Reopened)
}

// TestStreamsThatAreUndone: over TLS, and compressed, every event is there and counted, and so are the bytes on the wire.
func TestStreamsThatAreUndone(t *testing.T) {
	bytes := map[string]float64{}
	for name, load := range map[string]rig.Load{"plain": {}, "tls": {TLS: true}, "both": {TLS: true, Gzip: true}} {
		t.Run(name, func(t *testing.T) {
			load.Streams, load.Kind = 20, stamp.Broadcast
			r, err := rig.New("spate", load)
			require.NoError(t, err)
			defer r.Close()
			_, err = r.Connect(8)
			require.NoError(t, err)
			f, err := r.Run(rig.Work{Rate: 200, Events: 100, Size: 1000, JSON: true, Duration: 10 * time.Second})
			require.NoError(t, err)
			require.Empty(t, f.Faults())
			require.Equal(t, uint64(100*20), f.Deliveries)
			bytes[name] = float64(f.Bytes) / float64(f.Deliveries)
		})
	}
	require.InDelta(t, 1000, bytes["plain"], 250)
	require.Greater(t, bytes["tls"], bytes["plain"])
	require.Less(t, bytes["both"], bytes["plain"]*3/4)
}

// TestLimit: what takes longer than its limit is ended.
func TestLimit(t *testing.T) {
	r, err := rig.New("spate", rig.Load{Streams: 1, Kind: stamp.Broadcast, Limit: time.Second})
	require.NoError(t, err)
	defer r.Close()
	_, err = r.Connect(1)
	require.NoError(t, err)
	_, err = r.Run(rig.Work{Rate: 10, Size: 100, Duration: time.Hour})
	require.ErrorContains(t, err, "child ended")
}
