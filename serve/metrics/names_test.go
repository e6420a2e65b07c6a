package metrics_test

import (
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/serve/metrics"
	"github.com/spatehub/spate/wire"
)

// families are all that a hub with a log shows.
func families(t *testing.T) []*dto.MetricFamily {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(metrics.Collector(newHub(t, engine.WithLog(persist.NewMemory()), engine.WithTopicFigures(1)))))
	got, err := registry.Gather()
	require.NoError(t, err)
	return got
}

// Names, units and help texts are as Prometheus wants them.
func TestMetricNamesPassPromlint(t *testing.T) {
	problems, err := promlint.NewWithMetricFamilies(families(t)).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)

	wrong := "spate_milliseconds"
	problems, err = promlint.NewWithMetricFamilies([]*dto.MetricFamily{{Name: &wrong, Type: dto.MetricType_COUNTER.Enum()}}).Lint()
	require.NoError(t, err)
	require.NotEmpty(t, problems, "the lint itself works")
}

// Ten thousand topics make no more figures than the hub was given room for, and what Prometheus reads stays small.
func TestMetricsAreBounded(t *testing.T) {
	const topics, room = 10_000, 100
	hub := newHub(t, engine.WithTopicFigures(room))
	for i := range topics {
		require.NoError(t, hub.Push(nil, &wire.Event{Topic: "orders." + strings.Repeat("x", 200) + strconv.Itoa(i), Data: "x"}))
	}
	rec := httptest.NewRecorder()
	metrics.Handler(hub).ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	text := rec.Body.String()
	require.Equal(t, room+1, strings.Count(text, "\nspate_topic_events_total{"))
	require.Contains(t, text, `spate_topic_events_total{topic=""} `+strconv.Itoa(topics-room))
	require.Less(t, len(text), 1<<20)
}

// Of the topics that the hub counts a handler may show the first ones alone, and none is lost.
func TestMetricsShowTheFirstTopics(t *testing.T) {
	hub := newHub(t, engine.WithTopicFigures(50))
	for i := range 60 {
		for range 2 {
			require.NoError(t, hub.Push(nil, &wire.Event{Topic: "t" + strconv.Itoa(i), Data: "x"}))
		}
	}
	rec := httptest.NewRecorder()
	metrics.Handler(hub, metrics.WithTopics(10)).ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	text := rec.Body.String()
	require.Equal(t, 11, strings.Count(text, "\nspate_topic_events_total{"))
	for i := range 10 {
		require.Contains(t, text, `spate_topic_events_total{topic="t`+strconv.Itoa(i)+`"} 2`)
	}
	require.Contains(t, text, `spate_topic_events_total{topic=""} 100`)
}

// A histogram's buckets add up, and end with all values.
func TestHistogramsAddUp(t *testing.T) {
	hub := newHub(t)
	_, err := hub.Subscribe(engine.Subscription{}, greedy{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		registry := prometheus.NewPedanticRegistry()
		require.NoError(t, registry.Register(metrics.Collector(hub)))
		got, err := registry.Gather()
		require.NoError(t, err)
		for _, f := range got {
			if f.GetName() != "spate_connect_seconds" || f.Metric[0].Histogram.GetSampleCount() == 0 {
				continue
			}
			var last uint64
			for _, b := range f.Metric[0].Histogram.Bucket {
				require.GreaterOrEqual(t, b.GetCumulativeCount(), last)
				last = b.GetCumulativeCount()
			}
			require.EqualValues(t, 1, last)
			require.Positive(t, f.Metric[0].Histogram.GetSampleSum())
			return true
		}
		return false
	}, patience, time.Millisecond)
}

// The table of docs/operations.md has each metric, and no other.
func TestMetricsAreThoseOfTheDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	_, table, ok := strings.Cut(string(text), "| metric | what to look for |\n")
	require.True(t, ok, "the table's head")
	table, _, _ = strings.Cut(table, "\n\n")
	named := regexp.MustCompile("`(spate_[a-z_]+)")
	var documented []string
	for line := range strings.Lines(table) {
		first, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
		for _, m := range named.FindAllStringSubmatch(first, -1) {
			documented = append(documented, m[1])
		}
	}
	var shown []string
	for _, f := range families(t) {
		shown = append(shown, f.GetName())
	}
	slices.Sort(documented)
	slices.Sort(shown)
	require.Equal(t, shown, documented)
}
