package report

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spatehub/spate/loadtest/internal/hist"
)

// Expectation is a threshold and how the run did by it.
type Expectation struct {
	Text string `json:"text"`
	Got  string `json:"got,omitempty"`
	OK   bool   `json:"ok"`
}

// unit says how a metric is written.
type unit uint8

const (
	count unit = iota
	nanoseconds
	bytes
	ratio
)

// metric is one figure that expectations and comparisons may name.
type metric struct {
	name string
	unit unit
	get  func(r *Result) float64
}

// metrics lists the figures in the order of the tables.
var metrics = makeMetrics()

func makeMetrics() []metric {
	list := []metric{
		{"deliveries", count, func(r *Result) float64 { return float64(r.Deliveries.Count) }},
		{"deliveries/s", count, func(r *Result) float64 { return r.Deliveries.PerSecond }},
		{"bytes/s", bytes, func(r *Result) float64 { return r.Deliveries.BytesPerSecond }},
		{"published", count, func(r *Result) float64 { return float64(r.Published.Events) }},
		{"published/s", count, func(r *Result) float64 { return r.Published.PerSecond }},
		{"failed", count, func(r *Result) float64 { return float64(r.Published.Failed) }},
		{"lost", count, func(r *Result) float64 { return float64(r.Checks.Lost) }},
		{"duplicates", count, func(r *Result) float64 { return float64(r.Checks.Duplicates) }},
		{"disorder", count, func(r *Result) float64 { return float64(r.Checks.Disorder) }},
		{"misaddressed", count, func(r *Result) float64 { return float64(r.Checks.Misaddressed) }},
		{"corrupt", count, func(r *Result) float64 { return float64(r.Checks.Corrupt) }},
		{"id-disorder", count, func(r *Result) float64 { return float64(r.Checks.IDDisorder) }},
		{"gaps", count, func(r *Result) float64 { return float64(r.Checks.Gaps) }},
		{"errors", count, func(r *Result) float64 { return float64(r.Errors.Total() + r.Published.Errors.Total()) }},
		{"disconnects", count, func(r *Result) float64 { return float64(r.Streams.Disconnects) }},
		{"streams", count, func(r *Result) float64 { return float64(r.Streams.Peak) }},
		{"never-open", count, func(r *Result) float64 { return float64(r.Streams.NeverOpen) }},
		{"resumed", count, func(r *Result) float64 { return float64(r.Streams.Resumed) }},
		{"ramp", nanoseconds, func(r *Result) float64 { return r.Seconds.Ramp * 1e9 }},
	}
	list = append(list, summaryMetrics("", func(r *Result) hist.Summary { return r.Latency })...)
	list = append(list, summaryMetrics("connect.", func(r *Result) hist.Summary { return r.Connect })...)
	list = append(list, summaryMetrics("ttfb.", func(r *Result) hist.Summary { return r.TTFB })...)
	list = append(list, summaryMetrics("resume.", func(r *Result) hist.Summary { return r.Resume })...)
	list = append(list, summaryMetrics("push.", func(r *Result) hist.Summary { return r.Published.Push })...)
	server := func(name string, u unit, get func(s *Server) float64) metric {
		return metric{"server." + name, u, func(r *Result) float64 {
			if r.Server == nil {
				return 0
			}
			return get(r.Server)
		}}
	}
	return append(list,
		server("cpu", ratio, func(s *Server) float64 { return s.CPUShare }),
		server("cpu/delivery", nanoseconds, func(s *Server) float64 { return s.CPUPerDeliver * 1e3 }),
		server("rss", bytes, func(s *Server) float64 { return float64(s.RSSPeak) }),
		server("rss/stream", bytes, func(s *Server) float64 { return s.KiBPerStream * 1024 }),
		metric{"tester.cpu", ratio, func(r *Result) float64 { return r.Tester.CPUShare }},
		metric{"tester.lag", nanoseconds, func(r *Result) float64 { return float64(r.Tester.Lag.P99) }},
	)
}

func summaryMetrics(prefix string, get func(r *Result) hist.Summary) []metric {
	of := func(name string, field func(s hist.Summary) int64) metric {
		return metric{prefix + name, nanoseconds, func(r *Result) float64 { return float64(field(get(r))) }}
	}
	return []metric{
		of("p50", func(s hist.Summary) int64 { return s.P50 }),
		of("p90", func(s hist.Summary) int64 { return s.P90 }),
		of("p99", func(s hist.Summary) int64 { return s.P99 }),
		of("p99.9", func(s hist.Summary) int64 { return s.P999 }),
		of("p99.99", func(s hist.Summary) int64 { return s.P9999 }),
		of("max", func(s hist.Summary) int64 { return s.Max }),
		of("mean", func(s hist.Summary) int64 { return s.Mean }),
	}
}

// MetricNames lists what expectations may name.
func MetricNames() []string {
	var names []string
	for _, m := range metrics {
		names = append(names, m.name)
	}
	return names
}

// show writes a value in its unit, for people.
func (u unit) show(v float64) string {
	switch u {
	case nanoseconds:
		return hist.Show(int64(v))
	case bytes:
		return showBytes(v)
	case ratio:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	if v == float64(int64(v)) {
		return group(int64(v))
	}
	return group(int64(v + 0.5))
}

// Expect is a parsed threshold.
type Expect struct {
	text   string
	metric metric
	op     string
	limit  float64
}

var expectForm = regexp.MustCompile(`^\s*([a-z0-9./-]+?)\s*(<=|>=|==|!=|<|>|=)\s*(\S+)\s*$`)

// ParseExpect reads a threshold such as "p99<50ms", "lost==0" or
// "deliveries/s>=1000".
func ParseExpect(text string) (Expect, error) {
	e := Expect{text: strings.TrimSpace(text)}
	m := expectForm.FindStringSubmatch(strings.ToLower(text))
	if m == nil {
		return e, fmt.Errorf("-expect %q: write a figure, one of < <= > >= == !=, and a value, for example 'p99<50ms' or 'lost==0'", text)
	}
	i := slices.IndexFunc(metrics, func(x metric) bool { return x.name == m[1] })
	if i < 0 {
		return e, fmt.Errorf("-expect %q: there is no figure %q; there are %s", text, m[1], strings.Join(MetricNames(), ", "))
	}
	e.metric, e.op = metrics[i], m[2]
	if e.op == "=" {
		e.op = "=="
	}
	limit, ok := e.metric.unit.parse(m[3])
	if !ok {
		return e, fmt.Errorf("-expect %q: %s takes %s, not %q", text, m[1], e.metric.unit.example(), m[3])
	}
	e.limit = limit
	return e, nil
}

func (u unit) example() string {
	switch u {
	case nanoseconds:
		return "a duration such as 50ms"
	case bytes:
		return "bytes such as 100MB or 512KiB"
	}
	return "a number"
}

var byteUnits = []struct {
	suffix string
	size   float64
}{
	{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"b", 1}, {"", 1},
}

func (u unit) parse(s string) (float64, bool) {
	if u == nanoseconds {
		d, err := time.ParseDuration(s)
		return float64(d), err == nil
	}
	scale := 1.0
	if u == bytes {
		for _, b := range byteUnits {
			if rest, ok := strings.CutSuffix(s, b.suffix); ok {
				s, scale = rest, b.size
				break
			}
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	return v * scale, err == nil && v == v
}

// Check says how r does by the expectation. A latency of a run without a single
// measured delivery fulfils nothing.
func (e Expect) Check(r *Result) Expectation {
	v := e.metric.get(r)
	x := Expectation{Text: e.text, Got: e.metric.unit.show(v)}
	if e.metric.unit == nanoseconds && v == 0 {
		x.Got = "not measured"
		return x
	}
	switch e.op {
	case "<":
		x.OK = v < e.limit
	case "<=":
		x.OK = v <= e.limit
	case ">":
		x.OK = v > e.limit
	case ">=":
		x.OK = v >= e.limit
	case "==":
		x.OK = v == e.limit
	case "!=":
		x.OK = v != e.limit
	}
	return x
}

// Metric returns the figure of that name, durations in nanoseconds; false if
// there is none.
func (r *Result) Metric(name string) (float64, bool) {
	i := slices.IndexFunc(metrics, func(m metric) bool { return m.name == name })
	if i < 0 {
		return 0, false
	}
	return metrics[i].get(r), true
}
