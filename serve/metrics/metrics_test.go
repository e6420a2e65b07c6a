package metrics_test

import (
	"errors"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/serve/metrics"
	"github.com/spatehub/spate/wire"
)

func TestMetrics(t *testing.T) {
	hub := newHub(t)
	_, err := hub.Subscribe(engine.Subscription{}, greedy{})
	require.NoError(t, err)
	require.NoError(t, hub.Push(nil, &wire.Event{Data: "one"}, &wire.Event{Data: "two"}))
	require.NoError(t, hub.Push([]string{"nobody"}, &wire.Event{Data: "three"}))
	require.Eventually(t, func() bool {
		st := hub.Stats()
		return st.NoReceiver == 1 && st.Delivered == 2
	}, patience, time.Millisecond)

	rec := httptest.NewRecorder()
	metrics.Handler(hub).ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	require.Equal(t, 200, rec.Code)
	text := rec.Body.String()
	for _, line := range []string{
		"spate_events_total 3",
		"spate_pushed_total 3",
		`spate_deliveries_total{outcome="delivered"} 2`,
		`spate_deliveries_total{outcome="no_receiver"} 1`,
		`spate_deliveries_total{outcome="dropped"} 0`,
		"spate_connections 1",
		"# TYPE spate_events_total counter",
		"# TYPE spate_connections gauge",
		"go_goroutines",
	} {
		require.Contains(t, text, line)
	}
	require.Equal(t, 1, strings.Count(text, "# HELP spate_deliveries_total"))

	// Consistent enough for a registry that checks everything.
	pedantic := prometheus.NewPedanticRegistry()
	require.NoError(t, pedantic.Register(metrics.Collector(hub)))
	_, err = pedantic.Gather()
	require.NoError(t, err)
}

// The metrics tell what ended connections, and keep telling it at 0.
func TestMetricsOfEnds(t *testing.T) {
	hub := newHub(t)
	gone, err := hub.Subscribe(engine.Subscription{}, greedy{})
	require.NoError(t, err)
	gone.Hangup(nil)
	_, err = hub.Subscribe(engine.Subscription{}, greedy{})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return hub.Stats().Ends.Hangup == 1 }, patience, time.Millisecond)
	hub.Close()
	rec := httptest.NewRecorder()
	metrics.Handler(hub).ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	text := rec.Body.String()
	for _, line := range []string{
		`spate_connections_ended_total{reason="hangup"} 1`,
		`spate_connections_ended_total{reason="closed"} 1`,
		`spate_connections_ended_total{reason="overflow"} 0`,
		`spate_connections_ended_total{reason="stalled"} 0`,
		`spate_connections_ended_total{reason="write_error"} 0`,
		`spate_connections_ended_total{reason="history"} 0`,
		"# TYPE spate_connections_ended_total counter",
	} {
		require.Contains(t, text, line)
	}
	require.Equal(t, 1, strings.Count(text, "# HELP spate_connections_ended_total"))
}

// tellingLog is a memory log that can be made to say that it fails.
type tellingLog struct {
	*persist.Memory
	broken atomic.Bool
}

func (l *tellingLog) LogStats() persist.LogStats {
	stats := l.Memory.LogStats()
	if l.broken.Load() {
		stats.Err = errors.New("disk on fire")
	}
	return stats
}

// scrape returns the values of a hub's metrics that begin with prefix.
func scrape(t *testing.T, hub *engine.Hub, prefix string) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(metrics.Collector(hub)))
	families, err := registry.Gather()
	require.NoError(t, err)
	got := make(map[string]float64)
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), prefix) && len(f.Metric[0].Label) == 0 && f.Metric[0].Gauge != nil {
			got[f.GetName()] = f.Metric[0].Gauge.GetValue()
		}
	}
	return got
}

// The log's state is shown where there is a log that tells it, and its failures.
func TestMetricsOfTheLog(t *testing.T) {
	log := &tellingLog{Memory: persist.NewMemory(persist.WithRetention(persist.Retention{
		MaxAge: 90 * time.Minute, MaxCount: 2, MaxBytes: 1 << 20}))}
	hub := newHub(t, engine.WithLog(log))
	require.Equal(t, 1.0, scrape(t, hub, "spate_log_")["spate_log_up"])
	var ids []uint64
	for range 3 {
		got, err := hub.Publish(t.Context(), nil, &wire.Event{Data: "x"})
		require.NoError(t, err)
		ids = append(ids, got...)
	}
	stats, ok := hub.LogStats()
	require.True(t, ok)
	want := map[string]float64{
		"spate_log_first_event_id":        float64(ids[1]),
		"spate_log_last_event_id":         float64(ids[2]),
		"spate_log_records":               2,
		"spate_log_bytes":                 float64(stats.Bytes),
		"spate_log_disk_bytes":            0,
		"spate_log_lost_records":          0,
		"spate_log_retention_age_seconds": 5400,
		"spate_log_retention_records":     2,
		"spate_log_retention_bytes":       1 << 20,
		"spate_log_up":                    1,
	}
	require.Equal(t, want, scrape(t, hub, "spate_log_"))

	log.broken.Store(true)
	want["spate_log_up"] = 0
	require.Equal(t, want, scrape(t, hub, "spate_log_"))

	require.Empty(t, scrape(t, newHub(t, engine.WithLog(muteLog{persist.NewMemory()})), "spate_log_"), "a log that does not tell")
	bare := engine.NewHub(engine.WithLogger(silent))
	t.Cleanup(bare.Close)
	require.Empty(t, scrape(t, bare, "spate_log_"), "no log")
}
