package serve

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/metrics"
)

// MetricsOption is [metrics.Option].
type MetricsOption = metrics.Option

// Collector is [metrics.Collector].
func Collector(hub *engine.Hub, opts ...MetricsOption) prometheus.Collector {
	return metrics.Collector(hub, opts...)
}

// WithMetricTopics is [metrics.WithTopics].
func WithMetricTopics(n int) MetricsOption { return metrics.WithTopics(n) }

// MetricsHandler is [metrics.Handler].
func MetricsHandler(hub *engine.Hub, opts ...MetricsOption) http.Handler {
	return metrics.Handler(hub, opts...)
}
