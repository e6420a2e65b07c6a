package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/spatehub/spate/engine"
)

// logMetric is one figure of engine.LogStats.
type logMetric struct {
	desc  *prometheus.Desc
	value func(*engine.LogStats) float64
}

func newLogMetric(name, help string, value func(*engine.LogStats) float64) logMetric {
	return logMetric{prometheus.NewDesc(name, help, nil, nil), value}
}

// All are gauges: sizes fall with retention, IDs are no counts.
var logMetrics = []logMetric{
	newLogMetric("spate_log_first_event_id", "Oldest event in the log.",
		func(l *engine.LogStats) float64 { return float64(l.First) }),
	newLogMetric("spate_log_last_event_id", "Newest event in the log.",
		func(l *engine.LogStats) float64 { return float64(l.Last) }),
	newLogMetric("spate_log_records", "Events in the log.",
		func(l *engine.LogStats) float64 { return float64(l.Count) }),
	newLogMetric("spate_log_bytes", "Bytes of the events in the log.",
		func(l *engine.LogStats) float64 { return float64(l.Bytes) }),
	newLogMetric("spate_log_disk_bytes", "Disk space that the log takes; 0 for a log that takes none.",
		func(l *engine.LogStats) float64 { return float64(l.DiskBytes) }),
	newLogMetric("spate_log_lost_records", "Acknowledged events, at least, that were missing at the end of the log when it was opened.",
		func(l *engine.LogStats) float64 { return float64(l.LostTail.Records) }),
	newLogMetric("spate_log_retention_age_seconds", "Age beyond which events are dropped; 0 is no bound.",
		func(l *engine.LogStats) float64 { return l.Retention.MaxAge.Seconds() }),
	newLogMetric("spate_log_retention_records", "Number of events beyond which the oldest are dropped; 0 is no bound.",
		func(l *engine.LogStats) float64 { return float64(l.Retention.MaxCount) }),
	newLogMetric("spate_log_retention_bytes", "Bytes of events beyond which the oldest are dropped; 0 is no bound.",
		func(l *engine.LogStats) float64 { return float64(l.Retention.MaxBytes) }),
}

var logUp = prometheus.NewDesc("spate_log_up", "1 while the log takes events, else 0.", nil, nil)

func describeLog(to chan<- *prometheus.Desc) {
	for i := range logMetrics {
		to <- logMetrics[i].desc
	}
	to <- logUp
}

// collectLog reads the log's state, which may be from the disk: once a scrape.
func collectLog(hub *engine.Hub, to chan<- prometheus.Metric) {
	stats, ok := hub.LogStats()
	if !ok {
		return
	}
	for i := range logMetrics {
		to <- prometheus.MustNewConstMetric(logMetrics[i].desc, prometheus.GaugeValue, logMetrics[i].value(&stats))
	}
	up := 1.0
	if stats.Err != nil {
		up = 0
	}
	to <- prometheus.MustNewConstMetric(logUp, prometheus.GaugeValue, up)
}
