package serve_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/serve"
)

// families are all that a hub with a log shows.
func families(t *testing.T) []*dto.MetricFamily {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(serve.Collector(newHub(t, engine.WithLog(persist.NewMemory()), engine.WithTopicFigures(1)))))
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

// The table of docs/operations.md has each metric, and no other.
func TestMetricsAreThoseOfTheDocument(t *testing.T) {
	text, err := os.ReadFile("../docs/operations.md")
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
