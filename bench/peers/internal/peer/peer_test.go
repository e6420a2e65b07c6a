//go:build linux

package peer_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/bench/internal/rig"
	"github.com/spatehub/spate/bench/peers/internal/peer"
	"github.com/spatehub/spate/loadtest/stamp"
)

func TestMain(m *testing.M) {
	peer.Main()
	rig.Main(peer.Catalog())
	os.Exit(m.Run())
}

// thorough skips what takes long unless make interop, or somebody else, asks for it.
func thorough(t *testing.T) {
	if os.Getenv("SPATETEST_PEERS") == "" {
		t.Skip("only with SPATETEST_PEERS=1, as make interop sets it")
	}
}

// have skips a test of a peer that is not on this machine, or that is a process, unless these are asked for.
func have(t *testing.T, p peer.Peer) {
	if slices.Contains(peer.Processes(), p.Name) {
		thorough(t)
	}
	if p.Name == "spate-hub" {
		bin := filepath.Join(t.TempDir(), "spate")
		build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "./cmd/spate")
		build.Dir = "../../../.."
		out, err := build.CombinedOutput()
		require.NoError(t, err, "%s", out)
		t.Setenv(peer.HubVar, bin)
	}
	if p.Needs != nil {
		if err := p.Needs(); err != nil {
			t.Skip(err)
		}
	}
}

// TestPeersDeliverAll: under a load that none of them should mind, every peer brings every event to those it is for, so
// that the table compares servers and not mistakes in how they are set up.
func TestPeersDeliverAll(t *testing.T) {
	for _, p := range peer.All() {
		t.Run(p.Name, func(t *testing.T) {
			have(t, p)
			for kind, load := range map[string]rig.Load{
				"broadcast": {Streams: 20, Kind: stamp.Broadcast},
				"users":     {Streams: 20, Kind: stamp.User},
			} {
				t.Run(kind, func(t *testing.T) { deliversAll(t, p.Name, load, rig.Work{}) })
			}
		})
	}
}

// deliversAll publishes 40 events and looks for each of them.
func deliversAll(t *testing.T, name string, load rig.Load, w rig.Work) rig.Figures {
	load.Limit = time.Minute
	r, err := rig.New(name, load)
	require.NoError(t, err)
	defer r.Close()
	c, err := r.Connect(8)
	require.NoError(t, err)
	require.Equal(t, load.Streams, c.Open)
	receivers := uint64(load.Streams)
	if load.Kind == stamp.User {
		receivers = 1
	}
	w.Rate, w.Events, w.Size, w.Duration = 200, 40, max(200, w.Size), time.Second
	f, err := r.Run(w)
	require.NoError(t, err)
	f.Disorder = 0 // sponge's, by its design
	require.Empty(t, f.Faults())
	require.Equal(t, 40*receivers, f.Deliveries)
	return f
}

// TestPeersCan: what a peer is said to be able to do, it can: no stream of these works misses an event.
func TestPeersCan(t *testing.T) {
	thorough(t)
	for _, p := range peer.All() {
		t.Run(p.Name, func(t *testing.T) {
			have(t, p)
			for ability, load := range map[peer.Ability]rig.Load{peer.TLS: {TLS: true}, peer.Gzip: {Gzip: true}} {
				if p.Cannot[ability] == "" {
					load.Streams, load.Kind = 5, stamp.Broadcast
					t.Run(string(ability), func(t *testing.T) {
						f := deliversAll(t, p.Name, load, rig.Work{JSON: true, Size: 1000})
						if load.Gzip {
							require.Less(t, f.Bytes, f.Deliveries*900, "fewer bytes than the events have")
						}
					})
				}
			}
			if p.Cannot[peer.Resume] == "" {
				t.Run(string(peer.Resume), func(t *testing.T) { resumes(t, p.Name) })
			}
		})
	}
}

// doubles are the peers that send the event again which a stream names as the last that it had.
var doubles = []string{"r3labs", "eventsource"}

// resumes opens streams that have the first ten of 30 events.
func resumes(t *testing.T, name string) {
	r, err := rig.New(name, rig.Load{Streams: 5, Kind: stamp.Broadcast, Burst: 256, History: true, Limit: time.Minute})
	require.NoError(t, err)
	defer r.Close()
	_, err = r.Run(rig.Work{Rate: 1000, Events: 10, Size: 200, Duration: time.Second})
	require.NoError(t, err)
	m, err := r.Mark()
	require.NoError(t, err)
	require.NotEmpty(t, m.LastID)
	_, err = r.Again(rig.Work{Rate: 1000, Events: 20, Size: 200, Duration: time.Second})
	require.NoError(t, err)
	s, err := r.Resume(5, m)
	require.NoError(t, err)
	require.Equal(t, uint64(20*5), s.Figures.Deliveries)
	if slices.Contains(doubles, name) {
		require.Equal(t, "5 doubled", s.Figures.Faults())
		return
	}
	require.Empty(t, s.Figures.Faults())
}

// TestCannot: who cannot do something says why, and names that are not known can everything.
func TestCannot(t *testing.T) {
	require.Equal(t, "keeps nothing", peer.Cannot("gin-channel", peer.Resume))
	require.NotEmpty(t, peer.Cannot("spate", peer.Resume))
	require.Empty(t, peer.Cannot("spate-log", peer.Resume))
	require.Empty(t, peer.Cannot("nchan", ""))
	for _, name := range peer.Processes() {
		require.True(t, slices.ContainsFunc(peer.All(), func(p peer.Peer) bool { return p.Name == name }), name)
	}
}
