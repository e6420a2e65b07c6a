package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"

	"github.com/spatehub/spate/loadtest/internal/hist"
	"github.com/spatehub/spate/loadtest/internal/report"
	"github.com/spatehub/spate/loadtest/internal/session"
)

// metrics are a run's figures so far, as a collector of Prometheus.
type metrics struct {
	registry *prometheus.Registry
	mu       struct {
		sync.Mutex
		point    report.Point
		counters session.Counters
		errors   map[string]int64
		times    map[string]summary
	}
}

// summary is what a distribution is told as, in seconds.
type summary struct {
	count     uint64
	sum       float64
	quantiles map[float64]float64
}

// newMetrics returns the metrics of a run that has not begun.
func newMetrics() *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(m)
	return m
}

// update takes in the figures at the end of an interval.
func (m *metrics) update(p report.Point, s *session.Stats) {
	times := map[string]summary{}
	for name, h := range map[string]*hist.Hist{
		"latency": &s.Latency, "connect": &s.Connect, "first_byte": &s.TTFB, "resume": &s.Resume, "first_event": &s.First, "gap": &s.Gap,
		"delay": &s.Delay, "first_token": &s.Token, "between_tokens": &s.Between, "completion": &s.Whole, "tester_lag": &s.Lag,
	} {
		if h.Count() == 0 {
			continue // not measured
		}
		x := summary{count: uint64(h.Count()), sum: float64(h.Mean()) * float64(h.Count()) / 1e9, quantiles: map[float64]float64{}}
		for _, q := range []float64{0.5, 0.95, 0.99, 0.999, 1} {
			x.quantiles[q] = float64(h.Quantile(q)) / 1e9
		}
		times[name] = x
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.point, m.mu.counters, m.mu.errors, m.mu.times = p, s.Counters, maps.Clone(s.Errors), times
}

// Describe implements prometheus.Collector: the metrics are not known beforehand.
func (m *metrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, p := &m.mu.counters, &m.mu.point
	for _, x := range []struct {
		name, help string
		n          int64
	}{
		{"connects", "Connection attempts.", c.Connects},
		{"opened", "Streams accepted by the server.", c.Opened},
		{"resumed", "Streams accepted with Last-Event-ID.", c.Resumed},
		{"dropped", "Streams closed by the tester.", c.Dropped},
		{"disconnects", "Streams ended by the server or the network.", c.Disconnects},
		{"received_bytes", "Bytes of responses.", c.Bytes},
		{"events", "Events received, whoever published them.", c.Events},
		{"deliveries", "First receipts of the run's events by their addressees.", c.Deliveries},
		{"duplicates", "Events received again.", c.Duplicates},
		{"disorder", "Events received after a later one.", c.Disorder},
		{"misaddressed", "Events for somebody else.", c.Misaddressed},
		{"corrupt", "Events that were damaged.", c.Corrupt},
		{"id_disorder", "IDs that did not rise.", c.IDDisorder},
		{"id_missing", "Events without a decimal ID.", c.IDMissing},
		{"gaps", "Events that tell of lost history.", c.Gaps},
		{"silences", "Spans without an event longer than -silence.", c.Silences},
		{"completions", "Finite streams that came to their end.", c.Completed},
		{"truncated", "Finite streams that ended before it.", c.Truncated},
		{"refused", "Requests for a finite stream without one.", c.Refused},
		{"tokens", "Tokens of finite streams.", c.Tokens},
	} {
		out <- constant(prometheus.CounterValue, x.name+"_total", x.help, float64(x.n))
	}
	for kind, n := range m.mu.errors {
		out <- prometheus.MustNewConstMetric(desc("errors_total", "Errors of streams by kind.", "kind"), prometheus.CounterValue, float64(n), kind)
	}
	out <- constant(prometheus.GaugeValue, "open_streams", "Streams that are open.", float64(p.Open))
	out <- constant(prometheus.GaugeValue, "tester_cpus", "Processors that the tester uses.", p.TesterCPU)
	if p.ServerRSS > 0 {
		out <- constant(prometheus.GaugeValue, "server_cpus", "Processors that the server uses.", p.ServerCPU)
		out <- constant(prometheus.GaugeValue, "server_resident_bytes", "Resident memory of the server.", float64(p.ServerRSS))
	}
	for name, s := range m.mu.times {
		out <- prometheus.MustNewConstSummary(desc(name+"_seconds", "Quantiles of the run so far."), s.count, s.sum, s.quantiles)
	}
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("loadtest_"+name, help, labels, nil)
}

func constant(t prometheus.ValueType, name, help string, v float64) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc(name, help), t, v)
}

// serve answers GET /metrics at addr until the returned function is called. It tells
// the address, for a port of 0.
func (m *metrics) serve(addr string) (at string, stop func() error, err error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, fmt.Errorf("-metrics-listen: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	return l.Addr().String(), func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = srv.Shutdown(ctx) // what is not done within a second is cut off
		_ = srv.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}, nil
}

// write writes the metrics in OpenMetrics' text format.
func (m *metrics) write(w io.Writer) error {
	families, err := m.registry.Gather()
	if err != nil {
		return err
	}
	format := expfmt.NewFormat(expfmt.TypeOpenMetrics)
	enc := expfmt.NewEncoder(w, format)
	for _, f := range families {
		if err := enc.Encode(f); err != nil {
			return err
		}
	}
	if c, ok := enc.(expfmt.Closer); ok {
		return c.Close()
	}
	return nil
}
