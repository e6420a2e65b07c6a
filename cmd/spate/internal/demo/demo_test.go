package demo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/spatehub/spate/cmd/spate/internal/demo"
	"github.com/spatehub/spate/cmd/spate/internal/procfs"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// TestMain: the goroutines that are there at the start belong to the default pool of ants, which nobody uses.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

const fixtures = "../procfs/testdata"

// byTopic sorts readings by their topic, and fails on a topic twice.
func byTopic(t *testing.T, readings []demo.Reading) map[string]any {
	t.Helper()
	m := map[string]any{}
	for _, r := range readings {
		require.NotContains(t, m, r.Topic)
		require.Contains(t, demo.Topics, r.Topic)
		m[r.Topic] = r.Data
	}
	return m
}

// swapFS is a process file system whose files a test replaces, as the kernel does between two readings.
func swapFS(t *testing.T) (procfs.FS, func(fixture string)) {
	dir := filepath.Join(t.TempDir(), "proc")
	return procfs.FS(dir), func(fixture string) {
		require.NoError(t, os.RemoveAll(dir))
		require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join(fixtures, fixture))))
	}
}

func TestMachineTellsRatesFromTheSecondReadingOn(t *testing.T) {
	fs, load := swapFS(t)
	m := demo.NewMachine(fs)
	start := time.UnixMilli(1_700_000_000_000)

	load("before")
	readings, err := m.Read(start)
	require.NoError(t, err)
	got := byTopic(t, readings)
	require.NotContains(t, got, "cpu")
	require.NotContains(t, got, "net")
	require.Equal(t, demo.Load{T: start.UnixMilli(), One: 0.83, Five: 0.4, Fifteen: 0.16, Running: 2, Tasks: 90}, got["load"])
	require.EqualValues(t, (24684084-23281380)<<10, got["mem"].(demo.Mem).Used)

	load("after")
	readings, err = m.Read(start.Add(demo.Interval))
	require.NoError(t, err)
	got = byTopic(t, readings)
	require.Equal(t, demo.CPU{T: start.UnixMilli() + 250, User: 30, System: 15, IOWait: 5, Steal: 5, Cores: []float64{50, 50}}, got["cpu"])
	// eth0 got 1000 and sent 500 bytes in a quarter of a second; its alias and the loopback are not part of it.
	require.Equal(t, demo.Net{T: start.UnixMilli() + 250, Rx: 4000, Tx: 2000, Loopback: 4000}, got["net"])
}

func TestOneUnreadableFileCostsItsTopicAlone(t *testing.T) {
	fs, load := swapFS(t)
	load("before")
	require.NoError(t, os.Remove(filepath.Join(string(fs), "meminfo")))
	readings, err := demo.NewMachine(fs).Read(time.Now())
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "meminfo")
	got := byTopic(t, readings)
	require.Contains(t, got, "load")
	require.NotContains(t, got, "mem")
}

func TestSelfTellsTheHub(t *testing.T) {
	stats := engine.Stats{Events: 100, Delivered: 1000, Clients: 3}
	start := time.UnixMilli(1_700_000_000_000)
	s := demo.NewSelf(procfs.FS(t.TempDir()), start, func() engine.Stats { return stats })
	readings, err := s.Read(start)
	require.NoError(t, err)
	require.Zero(t, byTopic(t, readings)["hub"].(demo.Hub).EventRate)

	stats.Events, stats.Delivered = 110, 1500
	readings, err = s.Read(start.Add(demo.Interval))
	require.NoError(t, err)
	hub := byTopic(t, readings)["hub"].(demo.Hub)
	require.EqualValues(t, 40, hub.EventRate)
	require.EqualValues(t, 2000, hub.DeliverRate)
	require.Equal(t, start.UnixMilli(), hub.Started)
	require.Positive(t, hub.Resident, "without /proc the runtime says what it holds")
}

func TestRuntimeStandsInWithoutProc(t *testing.T) {
	r := demo.NewRuntime()
	start := time.UnixMilli(1_700_000_000_000)
	_, err := r.Read(start)
	require.NoError(t, err)
	readings, err := r.Read(start.Add(time.Second))
	require.NoError(t, err)
	got := byTopic(t, readings)
	require.Positive(t, got["mem"].(demo.Mem).Used)
	require.Positive(t, got["load"].(demo.Load).Running)
	require.Contains(t, got, "cpu")
}

// publisher records batches and answers with err.
type publisher struct {
	mu      sync.Mutex
	batches [][]*wire.Event
	err     error
}

func (p *publisher) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

func (p *publisher) Push(uids []string, events ...*wire.Event) error {
	if uids != nil {
		return errors.New("the demo feed is for everyone")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.batches = append(p.batches, events)
	return p.err
}

func TestRunPushesFourBatchesASecondUntilCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		hub := &publisher{}
		source := demo.NewSelf("", time.Now(), func() engine.Stats { return engine.Stats{} })
		done := make(chan struct{})
		go func() { defer close(done); demo.Run(ctx, hub, slog.New(slog.DiscardHandler), source) }()
		time.Sleep(time.Second - time.Millisecond)
		synctest.Wait()
		cancel()
		<-done
		require.Len(t, hub.batches, 4)
		for _, batch := range hub.batches {
			for _, e := range batch {
				require.Equal(t, e.Topic, e.Event)
				require.NoError(t, e.Validate())
				text, err := json.Marshal(e.Data)
				require.NoError(t, err)
				var data struct{ T int64 }
				require.NoError(t, json.Unmarshal(text, &data))
				require.Positive(t, data.T)
			}
		}
	})
}

func TestRunEndsWhenTheHubIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := demo.NewSelf("", time.Now(), func() engine.Stats { return engine.Stats{} })
		demo.Run(t.Context(), &publisher{err: engine.ErrClosed}, slog.New(slog.DiscardHandler), source)
	})
}

func TestTroubleIsLoggedOnceAndItsEndToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		hub := &publisher{err: engine.ErrLog}
		source := demo.NewSelf("", time.Now(), func() engine.Stats { return engine.Stats{} })
		done := make(chan struct{})
		go func() { defer close(done); demo.Run(ctx, hub, slog.New(slog.NewTextHandler(&out, nil)), source) }()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		hub.fail(nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		cancel()
		<-done
		require.Equal(t, 1, strings.Count(out.String(), "pushing fails"), out.String())
		require.Equal(t, 1, strings.Count(out.String(), "pushing works again"), out.String())
	})
}
