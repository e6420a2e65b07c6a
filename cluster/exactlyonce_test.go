package cluster_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/spatehub/spate/cluster"
	"github.com/spatehub/spate/cluster/clustertest"
	"github.com/spatehub/spate/engine"
)

// storm is what a run of TestExactlyOnce may do.
type storm struct {
	failures clustertest.Failures
	cut      bool // nodes are cut off, hubs crash and lose the end of their logs, disks fail
	lossy    bool // the stream is purged and made anew
	then     cluster.Silence
}

// Invariants 2, 3, 4, 6 and 13 hold in a cluster: publishers at all hubs, clients that
// move between them, and whatever may fail does. No acknowledged event is lost, none
// is there twice, nobody gets what is not for him, and a gap is told only where the
// stream itself has lost something.
func TestExactlyOnce(t *testing.T) {
	bad := clustertest.Failures{LostRequest: 50, LostAnswer: 50, Late: 50, Repeat: 100, Break: 5, Slow: 3 * time.Millisecond}
	for name, st := range map[string]storm{
		"calm":              {},
		"bad network":       {failures: bad},
		"crashes, keep":     {failures: bad, cut: true, then: cluster.KeepStreams},
		"crashes, end":      {failures: bad, cut: true, then: cluster.EndStreams},
		"purges, new ones":  {failures: clustertest.Failures{Repeat: 100, Break: 5}, lossy: true},
		"all of it at once": {failures: bad, cut: true, lossy: true, then: cluster.EndStreams},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pushes, clients := 60, 12
			if torture, _ := strconv.Atoi(os.Getenv("SPATETEST_CLUSTER_PUSHES")); torture > 0 {
				pushes, clients = torture, 60
			}
			w := newWorld(t, seed(t), st)
			(&clustertest.Storm{
				T: t, Seed: w.seed, Hubs: w.hubs, Start: w.start, Publishers: 4, Pushes: pushes, Clients: clients,
				Fail: w.fail, Mend: w.mend, Committed: w.fake.Committed, Lossy: st.lossy, Stream: w.fake.Stream,
			}).Run()
		})
	}
}

// world is three hubs over a fake stream.
type world struct {
	t       *testing.T
	seed    uint64
	start   uint64
	st      storm
	fake    *clustertest.Fake
	servers []*server
}

// server is one hub of the cluster.
type server struct {
	mu   sync.RWMutex
	hub  *engine.Hub
	log  *clustertest.Replica
	port *clustertest.Port
}

func newWorld(t *testing.T, n uint64, st storm) *world {
	w := &world{t: t, seed: n, st: st, start: 1_000_000}
	w.fake = clustertest.NewFake(n, w.start)
	for range 3 {
		s := &server{log: clustertest.NewReplica(), port: w.fake.Port(st.failures)}
		s.start(t, st.then)
		w.servers = append(w.servers, s)
	}
	t.Cleanup(func() {
		for _, s := range w.servers {
			s.hub.Close()
			s.port.Wait()
		}
	})
	return w
}

func (s *server) start(t testing.TB, then cluster.Silence) {
	node := cluster.NewNode(s.port, cluster.WithLogger(logger(t)), cluster.WithSilence(300*time.Millisecond, then), cluster.WithPatience(20*time.Second))
	s.hub = engine.NewHub(engine.WithSource(node), engine.WithLog(s.log), engine.WithEnableResendEvents(), engine.WithLogger(logger(t)),
		engine.WithChanBufferSize(256), engine.WithShards(2), engine.WithDrainTimeout(200*time.Millisecond))
}

func (w *world) hubs() (hubs []*engine.Hub) {
	for _, s := range w.servers {
		s.mu.RLock()
		hubs = append(hubs, s.hub)
		s.mu.RUnlock()
	}
	return hubs
}

// fail breaks one thing after the other.
func (w *world) fail(rng *rand.Rand, calm <-chan struct{}) {
	for {
		select {
		case <-calm:
			return
		case <-time.After(time.Duration(rng.IntN(30)) * time.Millisecond):
		}
		s := w.servers[rng.IntN(3)]
		switch what := rng.IntN(5); {
		case what == 0 && w.st.cut:
			s.port.Cut(true)
			pause(time.Duration(rng.IntN(600)) * time.Millisecond)
			s.port.Cut(false)
		case what == 1 && w.st.cut:
			s.log.Fail(errors.New("disk is full"))
			pause(time.Duration(rng.IntN(100)) * time.Millisecond)
			s.log.Fail(nil)
		case what == 2 && w.st.cut:
			s.hub.Close()
			s.mu.Lock()
			s.log = s.log.Cut(rng.IntN(20))
			s.start(w.t, w.st.then)
			s.mu.Unlock()
		case what == 3 && w.st.lossy && rng.IntN(4) == 0:
			w.fake.Purge(rng.IntN(30))
		case what == 4 && w.st.lossy && rng.IntN(10) == 0:
			w.fake.Recreate(uint64(1 + rng.IntN(100)))
		}
	}
}

func (w *world) mend() {
	for _, s := range w.servers {
		s.port.SetFailures(clustertest.Failures{})
		s.port.Wait()
	}
}
