package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/spatehub/spate/engine"
)

// measuredDescs are the descriptions of the hub's histograms, one for all classes of a name.
func measuredDescs(hub *engine.Hub) map[string]*prometheus.Desc {
	descs := map[string]*prometheus.Desc{}
	for _, h := range hub.Histograms() {
		var labels []string
		if h.Class != "" {
			labels = []string{"class"}
		}
		if descs[h.Name] == nil {
			descs[h.Name] = prometheus.NewDesc("spate_"+h.Name, h.Help, labels, nil)
		}
	}
	return descs
}

// collectMeasured turns the hub's histograms into classic ones, whose buckets add up.
func collectMeasured(hub *engine.Hub, descs map[string]*prometheus.Desc, to chan<- prometheus.Metric) {
	for _, h := range hub.Histograms() {
		var labels []string
		if h.Class != "" {
			labels = []string{h.Class}
		}
		buckets := make(map[float64]uint64, len(h.Bounds))
		var sum uint64
		for i, n := range h.Counts {
			if sum += n; i < len(h.Bounds) {
				buckets[h.Bounds[i]] = sum
			}
		}
		to <- prometheus.MustNewConstHistogram(descs[h.Name], sum, h.Sum, buckets, labels...)
	}
}

var (
	topicEvents = prometheus.NewDesc("spate_topic_events_total", "Events by topic; without a name those of all topics that have no figures of their own.", []string{"topic"}, nil)
	topicBytes  = prometheus.NewDesc("spate_topic_bytes_total", "Bytes of the events by topic, as they are sent.", []string{"topic"}, nil)
)

// collectTopics shows the hub's figures by topic, where it has them: engine.WithTopicFigures bounds their number, and most
// does unless it is negative.
func collectTopics(hub *engine.Hub, most int, to chan<- prometheus.Metric) {
	all := hub.TopicFigures()
	if n := len(all) - 1; most >= 0 && n > most {
		rest := &all[n]
		for _, f := range all[most:n] {
			rest.Events += f.Events
			rest.Bytes += f.Bytes
		}
		all = append(all[:most:most], *rest)
	}
	for _, f := range all {
		to <- prometheus.MustNewConstMetric(topicEvents, prometheus.CounterValue, float64(f.Events), f.Topic)
		to <- prometheus.MustNewConstMetric(topicBytes, prometheus.CounterValue, float64(f.Bytes), f.Topic)
	}
}
