package serve_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/serve"
)

func TestMetrics(t *testing.T) {
	s := newSite(t, modes[0], setup{})
	st := s.open("")
	s.online(1)
	s.push("", "one", "two")
	s.push("nobody", "three")
	st.expect("one", "two")
	require.Eventually(t, func() bool { return s.hub.Stats().NoReceiver == 1 }, patience, time.Millisecond)

	rec := httptest.NewRecorder()
	serve.MetricsHandler(s.hub).ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
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
	require.NoError(t, pedantic.Register(serve.Collector(s.hub)))
	_, err := pedantic.Gather()
	require.NoError(t, err)
}
