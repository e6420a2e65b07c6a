package cluster_test

import (
	"context"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/spatehub/spate/cluster"
	"github.com/spatehub/spate/cluster/clustertest"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// logger writes to the test, and to nobody once it has ended.
func logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func seed(t testing.TB) uint64 {
	n := uint64(time.Now().UnixNano())
	if v := os.Getenv("SPATE_SEED"); v != "" {
		var err error
		n, err = strconv.ParseUint(v, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("replay with SPATE_SEED=%d go test -race -run '^%s$' ./cluster", n, t.Name())
	return n
}

// replica is a hub's log that outlives it, and may then have lost its end.
type replica struct {
	*persist.Memory
	mu   *sync.Mutex
	fail *error
}

func newReplica() replica {
	return replica{persist.NewMemory(), new(sync.Mutex), new(error)}
}

func (r replica) Close() error { return nil }

func (r replica) Append(ctx context.Context, recs []persist.Record) error {
	r.mu.Lock()
	err := *r.fail
	r.mu.Unlock()
	if err != nil {
		return err
	}
	return r.Memory.Append(ctx, recs)
}

func (r replica) set(err error) {
	r.mu.Lock()
	*r.fail = err
	r.mu.Unlock()
}

// cut returns the log as a crash may have left it: without its last records.
func (r replica) cut(t testing.TB, lose int) replica {
	out := newReplica()
	if f := r.Floor(nil); f != 0 {
		require.NoError(t, out.StartOver(f))
	}
	var all []persist.Record
	for after := uint64(0); ; {
		page, err := r.Read(context.Background(), after, persist.Limit{})
		require.NoError(t, err)
		if page.UpTo == after {
			break
		}
		all, after = append(all, page.Records...), page.UpTo
	}
	if len(all) > 0 {
		require.NoError(t, out.BeginRun(max(r.Floor(nil)+1, all[0].ID)))
	}
	require.NoError(t, out.Memory.Append(context.Background(), all[:max(0, len(all)-lose)]))
	return out
}

// server is one hub of the cluster.
type server struct {
	mu   sync.RWMutex
	hub  *engine.Hub
	node *cluster.Node
	log  replica
	port *clustertest.Port
}

func (s *server) start(t testing.TB, then cluster.Silence) {
	s.node = cluster.NewNode(s.port, cluster.WithLogger(logger(t)), cluster.WithSilence(300*time.Millisecond, then), cluster.WithPatience(20*time.Second))
	s.hub = engine.NewHub(engine.WithSource(s.node), engine.WithLog(s.log), engine.WithEnableResendEvents(), engine.WithLogger(logger(t)),
		engine.WithChanBufferSize(256), engine.WithShards(2), engine.WithDrainTimeout(200*time.Millisecond))
}

func (s *server) get() *engine.Hub {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.hub
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); pause(time.Millisecond) {
		require.True(t, time.Now().Before(end), "in vain: %s", what)
	}
}

// sink reads the stream of one connection.
type sink struct {
	mu     sync.Mutex
	parser wire.Parser
	got    []wire.Event
	closed chan struct{}
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.parser.Feed(p, func(e wire.RawEvent) error {
		s.got = append(s.got, wire.Event{ID: string(e.ID), Event: string(e.Event), Data: string(e.Data)})
		return nil
	})
	return len(p), err
}

func (s *sink) Close(error) { close(s.closed) }

func (s *sink) take() []wire.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.got
	s.got = nil
	return got
}

// pause lets others run for a while; nothing depends on how long.
func pause(d time.Duration) { <-time.After(d) }
