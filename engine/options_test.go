package engine_test

import (
	"bytes"
	"context"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/internal/testrace"
	"github.com/spatehub/spate/persist"
	"github.com/stretchr/testify/require"
)

// logBuffer is a logger's output.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// Values out of range are corrected, said in the log, and then work.
func TestSettingsOutOfRangeAreCorrectedAndSaid(t *testing.T) {
	testrace.Pointless(t)
	for _, c := range []struct {
		opt  engine.HubOption
		said string // "": nothing to say
	}{
		{engine.WithChanBufferSize(0), `setting="ring size" given=0 used=16`},
		{engine.WithChanBufferSize(-5), `setting="ring size" given=-5 used=16`},
		{engine.WithChanBufferSize(math.MaxInt), `used=1048576`},
		{engine.WithChanBufferSize(100), ``},
		{engine.WithWorkerNum(0), `setting="worker number" given=0 used=1`},
		{engine.WithWorkerNum(math.MaxInt), `used=65536`},
		{engine.WithShards(0), `setting=shards given=0 used=1`},
		{engine.WithShards(1000), `setting=shards given=1000 used=64`},
		{engine.WithMaxEventSize(1), `setting="maximal event size" given=1 used=1024`},
		{engine.WithQueueBytes(-1), `setting="queue bytes" given=-1 used=1024`},
		{engine.WithPushTimeout(0, 3), `setting="push time-out" given=0s used=1ms`},
		{engine.WithPushTimeout(time.Second, 0), `setting="push tries" given=0 used=1`},
		{engine.WithDrainTimeout(-time.Second), `setting="drain time-out" given=-1s used=1ms`},
		{engine.WithHeartbeat(1), `setting=heartbeat given=1ns used=100ms`},
		{engine.WithHeartbeat(math.MaxInt64), `setting=heartbeat`},
		{engine.WithHeartbeat(-1), ``},
		{engine.WithStallTimeout(-1), ``},
		{engine.WithStallTimeout(0), ``},
		{engine.WithStallTimeout(math.MaxInt64), ``},
		{engine.WithStallTimeout(1), ``},
		{engine.WithPolicy(99), `unknown policy`},
		//lint:ignore SA1012 a mistake that users make
		{engine.WithContext(nil), ``},
		{engine.WithStore(nil), ``},
		{engine.WithLog(nil), ``},
		{nil, ``},
	} {
		var out logBuffer
		h := engine.NewHub(engine.WithLogger(out.logger()), c.opt)
		s := join(t, h, engine.Subscription{}, -1)
		require.NoError(t, h.Push(nil, message("works")))
		s.awaitText("works")
		h.Close()
		require.NoError(t, nilIfClosed(s.awaitClosed()))
		if c.said == "" {
			require.Empty(t, out.String())
			continue
		}
		require.Contains(t, out.String(), c.said)
		require.Equal(t, 1, strings.Count(out.String(), "\n"), out.String())
	}
	h := engine.NewHub(engine.WithLogger(nil)) // the default logger
	h.Close()
}

func nilIfClosed(err error) error {
	if err == engine.ErrClosed {
		return nil
	}
	return err
}

// The size of the ring is what was asked for, rounded up.
func TestRingSizeIsRoundedUp(t *testing.T) {
	for given, want := range map[int]int{16: 16, 17: 32, 4096: 4096, 5000: 8192} {
		h := newHub(t, engine.WithChanBufferSize(given))
		require.Equal(t, want, h.Stats().RingSize)
	}
}

// The smallest ring works with everything: invariants 2, 3 and 4 under fire,
// with pushes of as many events as it takes at once.
func TestTinyRing(t *testing.T) {
	for _, history := range []struct {
		name string
		opts func() []engine.HubOption
	}{
		{"memory log", func() []engine.HubOption { return []engine.HubOption{engine.WithLog(persist.NewMemory())} }},
		{"immediate", func() []engine.HubOption {
			return []engine.HubOption{engine.WithLog(persist.NewMemory()), engine.WithImmediateDelivery()}
		}},
		{"pipelined", func() []engine.HubOption {
			return []engine.HubOption{engine.WithLog(pipedLog{newFakeLog()})}
		}},
	} {
		t.Run(history.name, func(t *testing.T) {
			n := seed(t)
			h := newHub(t, append(history.opts(), engine.WithEnableResendEvents(),
				engine.WithChanBufferSize(16), engine.WithShards(3))...)
			underFire(t, h, n, 800, 12)
			requireSums(t, h)
		})
	}
}

// A push may hold a quarter of the ring, also of the smallest, however many
// shards gate it.
func TestLargestPush(t *testing.T) {
	for _, shards := range []int{1, 7, 64} {
		h := newHub(t, engine.WithChanBufferSize(16), engine.WithShards(shards))
		s := join(t, h, engine.Subscription{}, -1)
		for i := range 100 {
			require.NoError(t, h.Push(nil, number(4*i), number(4*i+1), number(4*i+2), number(4*i+3)))
		}
		s.awaitText("\ndata: 399\n")
		require.Len(t, s.ids(t), 400)
		require.ErrorIs(t, h.Push(nil, number(0), number(1), number(2), number(3), number(4)), engine.ErrTooMany)
	}
}

// Events for the users of one shard do not starve those of the others, however
// small the ring: shards without receivers move on, too.
func TestUnicastPassesShardsWithoutReceivers(t *testing.T) {
	h := newHub(t, engine.WithChanBufferSize(16), engine.WithShards(8))
	s := join(t, h, engine.Subscription{UID: "only"}, -1)
	for i := range 5000 {
		_, err := h.Publish(context.Background(), []string{"only"}, number(i))
		require.NoError(t, err)
	}
	s.awaitText("\ndata: 4999\n")
	require.Len(t, s.ids(t), 5000)
}
