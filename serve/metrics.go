package serve

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
)

// Collector returns a Prometheus collector of the hub's counters. Register one
// hub per registry, or wrap the registry with a label for each.
//
// A delivery is one event to one receiver; spate_deliveries_total sums over its
// outcomes, and with spate_deliveries_pending, to spate_pushed_total.
//
// Where the hub's log tells its state (Hub.LogStats), spate_log_* are that.
func Collector(hub *engine.Hub, opts ...MetricsOption) prometheus.Collector {
	_, tells := hub.LogStats()
	c := &collector{hub: hub, log: tells, measured: measuredDescs(hub), topics: -1}
	for _, opt := range opts {
		opt(c)
	}
	return c
}

// MetricsOption changes what a collector shows.
type MetricsOption func(*collector)

// WithMetricTopics shows figures of so many topics at most, those that were pushed to first, and counts the rest
// together. Without it they are all that the hub counts by themselves: see engine.WithTopicFigures.
func WithMetricTopics(n int) MetricsOption { return func(c *collector) { c.topics = max(n, 0) } }

// MetricsHandler serves the hub's and its log's figures, and those of the Go runtime and the
// process, in Prometheus' format.
func MetricsHandler(hub *engine.Hub, opts ...MetricsOption) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(Collector(hub, opts...), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// collector reads the hub's counters at each scrape; it keeps none of its own.
type collector struct {
	hub *engine.Hub
	log bool // the hub's log tells its state

	topics int // that are shown at most; negative: all

	measured map[string]*prometheus.Desc // of its histograms, by name
}

// metric is one figure of engine.Stats.
type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	label string // value of desc's label, where it has one
	value func(*engine.Stats) float64
}

func newMetric(name, help string, kind prometheus.ValueType, value func(*engine.Stats) float64) metric {
	return metric{desc: prometheus.NewDesc(name, help, nil, nil), kind: kind, value: value}
}

var deliveries = prometheus.NewDesc("spate_deliveries_total",
	"Events × receivers, by what became of them.", []string{"outcome"}, nil)

func newOutcome(name string, value func(*engine.Stats) float64) metric {
	return metric{desc: deliveries, kind: prometheus.CounterValue, label: name, value: value}
}

var connectionEnds = prometheus.NewDesc("spate_connections_ended_total",
	"Connections that have ended, by reason.", []string{"reason"}, nil)

func newEnd(reason string, value func(*engine.Ends) uint64) metric {
	return metric{desc: connectionEnds, kind: prometheus.CounterValue, label: reason,
		value: func(s *engine.Stats) float64 { return float64(value(&s.Ends)) }}
}

var metrics = []metric{
	newMetric("spate_events_total", "Events accepted.", prometheus.CounterValue,
		func(s *engine.Stats) float64 { return float64(s.Events) }),
	newMetric("spate_log_failed_total", "Events that the log did not take.", prometheus.CounterValue,
		func(s *engine.Stats) float64 { return float64(s.LogFailed) }),
	newMetric("spate_pushed_total", "Events × receivers, those without a receiver counted once.", prometheus.CounterValue,
		func(s *engine.Stats) float64 { return float64(s.Pushed) }),

	newOutcome("delivered", func(s *engine.Stats) float64 { return float64(s.Delivered) }),
	newOutcome("dropped", func(s *engine.Stats) float64 { return float64(s.Dropped) }),
	newOutcome("timed_out", func(s *engine.Stats) float64 { return float64(s.TimedOut) }),
	newOutcome("failed", func(s *engine.Stats) float64 { return float64(s.Failed) }),
	newOutcome("conflated", func(s *engine.Stats) float64 { return float64(s.Conflated) }),
	newOutcome("no_receiver", func(s *engine.Stats) float64 { return float64(s.NoReceiver) }),
	newMetric("spate_deliveries_pending", "Deliveries that wait for a slow connection.", prometheus.GaugeValue,
		func(s *engine.Stats) float64 { return float64(s.Pending) }),

	newMetric("spate_resent_total", "Events delivered from history to clients that resumed.", prometheus.CounterValue,
		func(s *engine.Stats) float64 { return float64(s.Resent) }),
	newMetric("spate_gaps_total", "Gap events sent: history did not reach back.", prometheus.CounterValue,
		func(s *engine.Stats) float64 { return float64(s.Gaps) }),
	newMetric("spate_behind_total", "Times a connection fell behind and turned to the log.", prometheus.CounterValue,
		func(s *engine.Stats) float64 { return float64(s.Behind) }),
	newMetric("spate_heartbeats_total", "Heartbeat comments sent.", prometheus.CounterValue,
		func(s *engine.Stats) float64 { return float64(s.Heartbeats) }),
	newMetric("spate_sent_bytes_total", "Bytes that the transports of connections have taken, behind response heads.", prometheus.CounterValue,
		func(s *engine.Stats) float64 { return float64(s.SentBytes) }),
	newMetric("spate_callbacks_lost_total", "Failure callbacks not made because too many were waiting.", prometheus.CounterValue,
		func(s *engine.Stats) float64 { return float64(s.CallbacksLost) }),

	newMetric("spate_connections", "Connections now.", prometheus.GaugeValue,
		func(s *engine.Stats) float64 { return float64(s.Clients) }),
	newMetric("spate_connections_stalled", "Connections now that take no bytes.", prometheus.GaugeValue,
		func(s *engine.Stats) float64 { return float64(s.Stalled) }),
	newMetric("spate_connections_catching_up", "Connections now that read the log.", prometheus.GaugeValue,
		func(s *engine.Stats) float64 { return float64(s.CatchingUp) }),
	newEnd("hangup", func(e *engine.Ends) uint64 { return e.Hangup }),
	newEnd("overflow", func(e *engine.Ends) uint64 { return e.Overflow }),
	newEnd("stalled", func(e *engine.Ends) uint64 { return e.Stalled }),
	newEnd("write_error", func(e *engine.Ends) uint64 { return e.WriteError }),
	newEnd("history", func(e *engine.Ends) uint64 { return e.History }),
	newEnd("closed", func(e *engine.Ends) uint64 { return e.Closed }),
	newEnd("expired", func(e *engine.Ends) uint64 { return e.Expired }),
	newEnd("revoked", func(e *engine.Ends) uint64 { return e.Revoked }),
	newEnd("reconnect", func(e *engine.Ends) uint64 { return e.Reconnect }),
	newMetric("spate_streams_refused_descriptors_total", "Streams refused, by the whole process, to leave descriptors to the log and to pushes.", prometheus.CounterValue,
		func(*engine.Stats) float64 { return float64(stream.DescriptorStats().Refused) }),
	newMetric("spate_push_body_bytes", "Memory that the bodies of pushes under way take, in the whole process.", prometheus.GaugeValue,
		func(*engine.Stats) float64 { return float64(stream.PushBodyStats().BodyBytes) }),
	newMetric("spate_pushes_refused_memory_total", "Pushes refused, by the whole process, for want of memory for their bodies.", prometheus.CounterValue,
		func(*engine.Stats) float64 { return float64(stream.PushBodyStats().Refused) }),
	newMetric("spate_descriptors_limit", "Descriptors that the process may have open; 0: not known.", prometheus.GaugeValue,
		func(*engine.Stats) float64 { return float64(stream.DescriptorStats().Limit) }),
	newMetric("spate_ring_used_slots", "Ring slots between the newest event and the slowest reader.", prometheus.GaugeValue,
		func(s *engine.Stats) float64 { return float64(s.RingUsed) }),
	newMetric("spate_ring_slots", "Slots of the ring.", prometheus.GaugeValue,
		func(s *engine.Stats) float64 { return float64(s.RingSize) }),
	newMetric("spate_last_event_id", "Newest event that every shard has delivered.", prometheus.GaugeValue,
		func(s *engine.Stats) float64 { return float64(s.LastEventID) }),
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for i := range metrics {
		if i > 0 && metrics[i].desc == metrics[i-1].desc {
			continue // one description for all values of its label
		}
		to <- metrics[i].desc
	}
	to <- topicEvents
	to <- topicBytes
	for _, desc := range c.measured {
		to <- desc
	}
	if c.log {
		describeLog(to)
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(to chan<- prometheus.Metric) {
	stats := c.hub.Stats()
	for i := range metrics {
		m := &metrics[i]
		var labels []string
		if m.label != "" {
			labels = []string{m.label}
		}
		to <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(&stats), labels...)
	}
	collectMeasured(c.hub, c.measured, to)
	collectTopics(c.hub, c.topics, to)
	if c.log {
		collectLog(c.hub, to)
	}
}
