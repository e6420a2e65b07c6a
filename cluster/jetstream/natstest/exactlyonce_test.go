package natstest_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spatehub/spate/cluster"
	"github.com/spatehub/spate/cluster/clustertest"
	"github.com/spatehub/spate/cluster/jetstream"
	"github.com/spatehub/spate/cluster/jetstream/natstest"
	"github.com/spatehub/spate/engine"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	current := goleak.IgnoreCurrent()
	code := m.Run()
	natstest.Clean()
	if err := goleak.Find(current); code == 0 && err != nil {
		println(err.Error())
		code = 1
	}
	os.Exit(code)
}

func logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func seed(t testing.TB) uint64 {
	n := uint64(time.Now().UnixNano())
	if v := os.Getenv("SPATETEST_SEED"); v != "" {
		var err error
		n, err = strconv.ParseUint(v, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("replay with SPATETEST_SEED=%d go test -run '^%s$' .", n, t.Name())
	return n
}

func pause(d time.Duration) { <-time.After(d) }

func connect(t testing.TB, url string) *nats.Conn {
	nc, err := nats.Connect(url, append(jetstream.ConnOptions(), nats.IgnoreDiscoveredServers())...)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// hub is one hub of a cluster, with its own ways to the servers.
type hub struct {
	mu      sync.RWMutex
	hub     *engine.Hub
	node    *cluster.Node
	log     *clustertest.Replica
	stream  *jetstream.Stream
	proxies []*natstest.Proxy
}

func startHub(t testing.TB, nats *natstest.Cluster, opts ...jetstream.Option) *hub {
	h := &hub{log: clustertest.NewReplica()}
	var urls []string
	for _, s := range nats.Servers {
		p := natstest.NewProxy(t, s.URL())
		h.proxies, urls = append(h.proxies, p), append(urls, p.URL())
	}
	var err error
	h.stream, err = jetstream.Open(within(t, 20*time.Second), connect(t, strings.Join(urls, ",")), append(opts, jetstream.WithLogger(logger(t)))...)
	require.NoError(t, err)
	h.start(t)
	t.Cleanup(func() { h.get().Close() })
	return h
}

func (h *hub) start(t testing.TB) {
	h.node = cluster.NewNode(h.stream, cluster.WithLogger(logger(t)), cluster.WithSilence(3*time.Second, cluster.KeepStreams))
	h.hub = engine.NewHub(engine.WithSource(h.node), engine.WithLog(h.log), engine.WithEnableResendEvents(), engine.WithLogger(logger(t)), engine.WithDrainTimeout(500*time.Millisecond))
}

func (h *hub) get() *engine.Hub {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.hub
}

// crash ends the hub, and starts it with what a crash has left of its log.
func (h *hub) crash(t testing.TB, lose int) {
	h.hub.Close()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.log = h.log.Cut(lose)
	h.start(t)
}

func (h *hub) cut(cut bool) {
	for _, p := range h.proxies {
		p.Cut(cut)
	}
}

// world is three servers and three hubs.
type world struct {
	t    *testing.T
	nats *natstest.Cluster
	hubs []*hub
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, nats: natstest.Start(t, 3)}
	for range 3 {
		w.hubs = append(w.hubs, startHub(t, w.nats))
	}
	return w
}

func (w *world) get() (hubs []*engine.Hub) {
	for _, h := range w.hubs {
		hubs = append(hubs, h.get())
	}
	return hubs
}

// committed reads the stream from its beginning to where it is now.
func (w *world) committed() (all []cluster.Entry) {
	s, err := jetstream.Open(within(w.t, 10*time.Second), connect(w.t, w.nats.URL()))
	require.NoError(w.t, err)
	ctx := within(w.t, time.Minute)
	head, err := s.Head(ctx)
	require.NoError(w.t, err)
	origin, err := s.Origin(ctx)
	require.NoError(w.t, err)
	done := errors.New("done")
	err = s.Follow(ctx, origin, func(p cluster.Page) error {
		all = append(all, p.Entries...)
		if p.UpTo >= head {
			return done
		}
		return nil
	})
	require.ErrorIs(w.t, err, done)
	return all
}

// fail breaks one thing after the other.
func (w *world) fail(rng *rand.Rand, calm <-chan struct{}) {
	for {
		select {
		case <-calm:
			return
		case <-time.After(time.Duration(rng.IntN(300)) * time.Millisecond):
		}
		h, i := w.hubs[rng.IntN(3)], rng.IntN(3)
		switch rng.IntN(6) {
		case 0: // a server, the stream's leader one time in three
			w.nats.Kill(i)
			pause(time.Duration(rng.IntN(1500)) * time.Millisecond)
			w.nats.Start(i)
		case 1: // it is cut off, and finds itself in the past
			w.nats.Halt(i, true)
			pause(time.Duration(rng.IntN(3000)) * time.Millisecond)
			w.nats.Halt(i, false)
		case 2:
			h.cut(true)
			pause(time.Duration(rng.IntN(5000)) * time.Millisecond)
			h.cut(false)
		case 3:
			h.crash(w.t, rng.IntN(50))
		case 4:
			h.log.Fail(errors.New("disk is full"))
			pause(time.Duration(rng.IntN(300)) * time.Millisecond)
			h.log.Fail(nil)
		case 5:
			if rng.IntN(4) == 0 { // all of NATS
				for i := range w.nats.Servers {
					w.nats.Kill(i)
				}
				pause(time.Duration(rng.IntN(1000)) * time.Millisecond)
				for i := range w.nats.Servers {
					w.nats.Start(i)
				}
			}
		}
	}
}

// Invariants 2, 3, 4, 6 and 13 over real servers: some are killed, the stream's leader
// among them, or cut off, hubs crash with the end of their logs, are cut off, or can't
// write.
func TestExactlyOnce(t *testing.T) {
	w := newWorld(t)
	pushes, clients := 50, 12
	if torture, _ := strconv.Atoi(os.Getenv("SPATETEST_CLUSTER_PUSHES")); torture > 0 {
		pushes, clients = torture, 100
	}
	start, err := w.hubs[0].stream.Origin(within(t, 10*time.Second))
	require.NoError(t, err)
	(&clustertest.Storm{
		T: t, Seed: seed(t), Hubs: w.get, Start: start, Publishers: 8, Pushes: pushes, Clients: clients,
		Fail: w.fail, Mend: func() {}, Committed: w.committed,
	}).Run()
}
