package report

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spatehub/spate/loadtest/internal/hist"
)

// unit says how a metric is written.
type unit uint8

const (
	count unit = iota
	rate
	nanoseconds
	bytes
	bytesRate
	ratio
)

// figure is a metric's value in one run. Where nothing was measured, known is
// false, and v means nothing.
type figure struct {
	v     float64
	known bool
}

func known(v float64) figure { return figure{v, true} }

func knownIf(ok bool, v float64) figure { return figure{v, ok} }

// show writes the figure in its unit, for people.
func (f figure) show(u unit) string {
	if !f.known {
		return hist.NotMeasured
	}
	return u.show(f.v)
}

// metric is one figure that expectations and comparisons may name.
type metric struct {
	name string
	unit unit
	get  func(r *Result) figure
	of   func(r *Result) figure // what a share of it is a share of; nil: none
	more bool                   // more is better: a lower value is a regression
}

// metrics lists the figures that have a name of their own, in the order of the
// tables. Percentiles and figures of one event type are made by metricNamed.
var metrics = makeMetrics()

func makeMetrics() []metric {
	counted := func(name string, get func(r *Result) int64, of func(r *Result) figure) metric {
		return metric{name: name, get: func(r *Result) figure { return known(float64(get(r))) }, of: of}
	}
	checked := func(name string, get func(r *Result) int64, of func(r *Result) figure) metric {
		return metric{name: name, get: func(r *Result) figure { return knownIf(!r.Checks.Unchecked, float64(get(r))) }, of: of}
	}
	owed := func(r *Result) figure { return knownIf(!r.Checks.Unchecked, float64(r.Deliveries.Expected)) }
	received := func(r *Result) figure { return knownIf(!r.Checks.Unchecked, float64(r.Deliveries.Count)) }
	attempts := func(r *Result) figure { return known(float64(r.Streams.Connects)) }
	wanted := func(r *Result) figure { return known(float64(r.Streams.Wanted)) }
	published := func(r *Result) figure {
		return knownIf(r.Config.Publish, float64(r.Published.Events+r.Published.Failed))
	}
	list := []metric{
		checked("deliveries", func(r *Result) int64 { return r.Deliveries.Count }, owed),
		{name: "deliveries/s", unit: rate, get: func(r *Result) figure { return knownIf(!r.Checks.Unchecked, r.Deliveries.PerSecond) }, more: true},
		{name: "bytes/s", unit: bytesRate, get: func(r *Result) figure { return known(r.Deliveries.BytesPerSecond) }, more: true},
		{name: "published", get: func(r *Result) figure { return knownIf(r.Config.Publish, float64(r.Published.Events)) }, of: published, more: true},
		{name: "published/s", unit: rate, get: func(r *Result) figure { return knownIf(r.Config.Publish, r.Published.PerSecond) }, more: true},
		{name: "failed", get: func(r *Result) figure { return knownIf(r.Config.Publish, float64(r.Published.Failed)) }, of: published},
		checked("lost", func(r *Result) int64 { return int64(r.Checks.Lost) }, owed),
		checked("missed-away", func(r *Result) int64 { return int64(r.Checks.MissedAway) }, owed),
		checked("duplicates", func(r *Result) int64 { return r.Checks.Duplicates }, received),
		checked("disorder", func(r *Result) int64 { return r.Checks.Disorder }, received),
		checked("misaddressed", func(r *Result) int64 { return r.Checks.Misaddressed }, received),
		checked("corrupt", func(r *Result) int64 { return r.Checks.Corrupt }, received),
		{name: "id-disorder", get: func(r *Result) figure {
			if r.Events.Observed {
				return known(float64(r.Events.IDDisorder))
			}
			return knownIf(!r.Checks.NoIDs, float64(r.Checks.IDDisorder))
		}},
		{name: "id-missing", get: func(r *Result) figure { return knownIf(!r.Checks.NoIDs, float64(r.Checks.IDMissing)) }},
		counted("gaps", func(r *Result) int64 { return r.Checks.Gaps }, nil),
		counted("errors", func(r *Result) int64 { return r.Errors.Total() + r.Published.Errors.Total() }, attempts),
		counted("disconnects", func(r *Result) int64 { return r.Streams.Disconnects }, func(r *Result) figure { return known(float64(r.Streams.Opened)) }),
		counted("streams", func(r *Result) int64 { return r.Streams.Peak }, wanted),
		counted("never-open", func(r *Result) int64 { return int64(r.Streams.NeverOpen) }, wanted),
		counted("resumed", func(r *Result) int64 { return r.Streams.Resumed }, attempts),
		counted("events", func(r *Result) int64 { return r.Events.Count }, nil),
		{name: "events/s", unit: rate, get: func(r *Result) figure { return known(r.Events.PerSecond) }, more: true},
		observed("silence", nanoseconds, func(e *Events) float64 { return float64(e.Silence) }),
		observed("silences", count, func(e *Events) float64 { return float64(e.Silences) }),
		observed("id-duplicates", count, func(e *Events) float64 { return float64(e.IDDuplicates) }),
		finite("completions", count, func(c *Completions) float64 { return float64(c.Completed) }),
		finite("completions/s", rate, func(c *Completions) float64 { return c.PerSecond }),
		finite("truncated", count, func(c *Completions) float64 { return float64(c.Truncated) }),
		finite("refused", count, func(c *Completions) float64 { return float64(c.Refused) }),
		finite("unstarted", count, func(c *Completions) float64 { return float64(c.Unstarted) }),
		finite("unfinished", count, func(c *Completions) float64 { return float64(c.Unfinished) }),
		finite("tokens", count, func(c *Completions) float64 { return float64(c.Tokens) }),
		finite("tokens/s", rate, func(c *Completions) float64 { return c.TokensPerSecond }),
		{name: "ramp", unit: nanoseconds, get: func(r *Result) figure { return known(r.Seconds.Ramp * 1e9) }},
	}
	for i := range list {
		list[i].more = list[i].more || slices.Contains([]string{"deliveries", "streams", "resumed", "events", "completions", "completions/s", "tokens", "tokens/s"}, list[i].name)
	}
	server := func(name string, u unit, get func(s *Server) figure) metric {
		return metric{name: "server." + name, unit: u, get: func(r *Result) figure {
			if r.Server == nil {
				return figure{}
			}
			return get(r.Server)
		}}
	}
	return append(list,
		server("cpu", ratio, func(s *Server) figure { return known(s.CPUShare) }),
		server("cpu/delivery", nanoseconds, func(s *Server) figure { return knownIf(s.CPUPerDeliver > 0, s.CPUPerDeliver*1e3) }),
		server("rss", bytes, func(s *Server) figure { return knownIf(s.RSSPeak > 0, float64(s.RSSPeak)) }),
		server("rss/stream", bytes, func(s *Server) figure { return knownIf(s.KiBPerStream > 0, s.KiBPerStream*1024) }),
		metric{name: "tester.cpu", unit: ratio, get: func(r *Result) figure { return known(r.Tester.CPUShare) }},
		metric{name: "tester.lag", unit: nanoseconds, get: func(r *Result) figure { return knownIf(r.Tester.Lag.Count > 0, float64(r.Tester.Lag.P99)) }},
	)
}

// observed is a figure of deployments that publish by themselves.
func observed(name string, u unit, get func(e *Events) float64) metric {
	return metric{name: name, unit: u, get: func(r *Result) figure { return knownIf(r.Events.Observed, get(&r.Events)) }, of: func(r *Result) figure {
		return known(float64(r.Events.Count))
	}}
}

// finite is a figure of finite streams.
func finite(name string, u unit, get func(c *Completions) float64) metric {
	return metric{name: name, unit: u, get: func(r *Result) figure {
		if r.Completions == nil {
			return figure{}
		}
		return known(get(r.Completions))
	}, of: func(r *Result) figure {
		if c := r.Completions; c != nil {
			return known(float64(c.Completed + c.Truncated + c.Refused + c.Unstarted + int64(c.Unfinished)))
		}
		return figure{}
	}}
}

// distribution is what percentiles can be taken of.
type distribution struct {
	prefix string
	get    func(r *Result) (hist.Summary, *hist.Hist)
}

var distributions = []distribution{
	{"", func(r *Result) (hist.Summary, *hist.Hist) { return r.Latency, &r.Histograms.Latency }},
	{"connect.", func(r *Result) (hist.Summary, *hist.Hist) { return r.Connect, &r.Histograms.Connect }},
	{"ttfb.", func(r *Result) (hist.Summary, *hist.Hist) { return r.TTFB, &r.Histograms.TTFB }},
	{"resume.", func(r *Result) (hist.Summary, *hist.Hist) { return r.Resume, &r.Histograms.Resume }},
	{"first-event.", func(r *Result) (hist.Summary, *hist.Hist) { return r.Events.First, &r.Histograms.First }},
	{"gap.", func(r *Result) (hist.Summary, *hist.Hist) { return r.Events.Gap, &r.Histograms.Gap }},
	{"delay.", func(r *Result) (hist.Summary, *hist.Hist) { return r.Events.Delay, &r.Histograms.Delay }},
	{"token.", func(r *Result) (hist.Summary, *hist.Hist) { return r.finite().Token, &r.Histograms.Token }},
	{"between.", func(r *Result) (hist.Summary, *hist.Hist) { return r.finite().Between, &r.Histograms.Between }},
	{"whole.", func(r *Result) (hist.Summary, *hist.Hist) { return r.finite().Whole, &r.Histograms.Whole }},
	{"push.", func(r *Result) (hist.Summary, *hist.Hist) { return r.Published.Push, &r.Histograms.Push }},
}

var quantileForm = regexp.MustCompile(`^(.*\.|)(?:p([0-9]{1,2}(?:\.[0-9]{1,4})?)|(min|max|mean))$`)

// quantile is the metric of a percentile, minimum, maximum or mean.
func quantile(name string) (metric, bool) {
	m := quantileForm.FindStringSubmatch(name)
	if m == nil {
		return metric{}, false
	}
	get := func(*Result) (hist.Summary, *hist.Hist) { return hist.Summary{}, nil }
	i := slices.IndexFunc(distributions, func(d distribution) bool { return d.prefix == m[1] })
	grouped := groupForm.FindStringSubmatch(m[1])
	typed := typeForm.FindStringSubmatch(m[1])
	switch {
	case i >= 0:
		get = distributions[i].get
	case grouped != nil:
		get = func(r *Result) (hist.Summary, *hist.Hist) { return r.group(grouped[1]).Latency, nil }
		if !slices.Contains([]string{"", "50", "90", "95", "99", "99.9", "99.99"}, m[2]) {
			return metric{}, false // the whole distribution of a group is not kept
		}
	case typed != nil:
		get = func(r *Result) (hist.Summary, *hist.Hist) { return r.Events.Types[typed[1]].Delay, nil }
		if !slices.Contains([]string{"", "50", "90", "95", "99", "99.9", "99.99"}, m[2]) {
			return metric{}, false // the whole distribution of a type is not kept
		}
	default:
		return metric{}, false
	}
	p, _ := strconv.ParseFloat(m[2], 64) // by the form
	return metric{name: name, unit: nanoseconds, get: func(r *Result) figure {
		s, h := get(r)
		return knownIf(s.Count > 0, float64(pick(s, h, m[3], p)))
	}}, true
}

var typeForm = regexp.MustCompile(`^type\.(.+)\.delay\.$`)

var groupForm = regexp.MustCompile(`^group\.(.+)\.$`)

var groupCount = regexp.MustCompile(`^group\.(.+)\.(lost|deliveries)$`)

// group finds a group by its name; there may be none.
func (r *Result) group(name string) Group {
	for _, g := range r.Groups {
		if g.Name == name {
			return g
		}
	}
	return Group{}
}

// ofGroup is the metric of a count of one group.
func ofGroup(name string) (metric, bool) {
	m := groupCount.FindStringSubmatch(name)
	if m == nil {
		return metric{}, false
	}
	return metric{name: name, more: m[2] == "deliveries", get: func(r *Result) figure {
		g := r.group(m[1])
		ok := g.Name != "" && !r.Checks.Unchecked
		if m[2] == "lost" {
			return knownIf(ok, float64(g.Lost))
		}
		return knownIf(ok, float64(g.Deliveries))
	}, of: func(r *Result) figure {
		g := r.group(m[1])
		return knownIf(g.Name != "", float64(g.Deliveries)+float64(g.Lost))
	}}, true
}

var typeCount = regexp.MustCompile(`^type\.(.+)\.(events|bytes)$`)

// ofType is the metric of what was received of one event type. A type of which
// nothing came was measured: there were 0.
func ofType(name string) (metric, bool) {
	m := typeCount.FindStringSubmatch(name)
	if m == nil {
		return metric{}, false
	}
	x := metric{name: name, more: true}
	if m[2] == "bytes" {
		x.unit = bytes
	}
	x.get = func(r *Result) figure {
		t := r.Events.Types[m[1]]
		if x.unit == bytes {
			return knownIf(r.Events.Observed, float64(t.DataBytes))
		}
		return knownIf(r.Events.Observed, float64(t.Events))
	}
	x.of = func(r *Result) figure { return known(float64(r.Events.Count)) }
	return x, true
}

// finite is what is known of finite streams, if there are any.
func (r *Result) finite() Completions {
	if r.Completions == nil {
		return Completions{}
	}
	return *r.Completions
}

// pick reads one value of a distribution: the stored one where there is one.
func pick(s hist.Summary, h *hist.Hist, word string, p float64) int64 {
	switch {
	case word == "min":
		return s.Min
	case word == "max":
		return s.Max
	case word == "mean":
		return s.Mean
	}
	switch p {
	case 50:
		return s.P50
	case 90:
		return s.P90
	case 95:
		if h == nil || s.P95 > 0 {
			return s.P95
		}
	case 99:
		return s.P99
	case 99.9:
		return s.P999
	case 99.99:
		return s.P9999
	}
	return h.Quantile(p / 100)
}

// metricNamed finds a figure by its name in -expect.
func metricNamed(name string) (metric, bool) {
	if i := slices.IndexFunc(metrics, func(m metric) bool { return m.name == name }); i >= 0 {
		return metrics[i], true
	}
	if m, ok := ofType(name); ok {
		return m, true
	}
	if m, ok := ofGroup(name); ok {
		return m, true
	}
	return quantile(name)
}

// MetricNames lists what expectations may name.
func MetricNames() []string {
	var names []string
	for _, m := range metrics {
		names = append(names, m.name)
	}
	var prefixes []string
	for _, d := range distributions {
		prefixes = append(prefixes, d.prefix+"p99")
	}
	names = append(names, "type.<type>.events", "type.<type>.bytes", "type.<type>.delay.p99", "group.<group>.p99", "group.<group>.lost", "group.<group>.deliveries")
	return append(names, strings.Join(prefixes, ", ")+" (or any percentile such as p95, min, max, mean)")
}

// show writes a value in its unit, for people.
func (u unit) show(v float64) string {
	switch u {
	case nanoseconds:
		return hist.Show(int64(v))
	case bytes:
		return showBytes(v)
	case bytesRate:
		return showBytes(v) + "/s"
	case rate:
		return showRate(v)
	case ratio:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	if v == float64(int64(v)) {
		return group(int64(v))
	}
	return group(int64(v + 0.5))
}

// Metric returns the figure of that name, durations in nanoseconds. ok is false
// if there is none of that name; measured, if this run has not measured it.
func (r *Result) Metric(name string) (v float64, measured, ok bool) {
	m, ok := metricNamed(name)
	if !ok {
		return 0, false, false
	}
	f := m.get(r)
	return f.v, f.known, true
}
