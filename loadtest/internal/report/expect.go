package report

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Expectation is a threshold and how the run did by it.
type Expectation struct {
	Text string `json:"text"`
	Got  string `json:"got,omitempty"`
	OK   bool   `json:"ok"`
}

// Expect is a parsed threshold.
type Expect struct {
	text   string
	metric metric
	op     string
	limit  float64
	share  bool // limit is a share of metric.of
}

var expectForm = regexp.MustCompile(`^\s*([^<>=!\s]+?)\s*(<=|>=|==|!=|<|>|=)\s*(\S+)\s*$`)

// ParseExpect reads a threshold such as "p99<50ms", "lost==0", "lost<=0.1%" or
// "deliveries/s>=10k".
func ParseExpect(text string) (Expect, error) {
	e := Expect{text: strings.TrimSpace(text)}
	m := expectForm.FindStringSubmatch(text)
	if m == nil {
		return e, fmt.Errorf("-expect %q: write a figure, one of < <= > >= == !=, and a value, for example 'p99<50ms' or 'lost==0'", text)
	}
	name := m[1]
	var ok bool
	if e.metric, ok = metricNamed(name); !ok {
		name = strings.ToLower(name)
		if e.metric, ok = metricNamed(name); !ok {
			return e, fmt.Errorf("-expect %q: there is no figure %q; there are %s", text, name, strings.Join(MetricNames(), ", "))
		}
	}
	if e.op = m[2]; e.op == "=" {
		e.op = "=="
	}
	value := strings.ToLower(m[3])
	if num, percent := strings.CutSuffix(value, "%"); percent && e.metric.unit == count {
		v, err := strconv.ParseFloat(num, 64)
		if err != nil || v != v || e.metric.of == nil {
			return e, fmt.Errorf("-expect %q: %s is no share of anything, or %q is no number", text, name, value)
		}
		e.limit, e.share = v/100, true
		return e, nil
	}
	if e.limit, ok = e.metric.unit.parse(value); !ok {
		return e, fmt.Errorf("-expect %q: %s takes %s, not %q", text, name, e.metric.unit.example(), m[3])
	}
	return e, nil
}

// endOnly are figures that are not known before a run is over.
var endOnly = []string{"lost", "missed-away", "never-open", "unfinished", "unstarted", "deliveries/s", "server.cpu", "server.cpu/delivery", "server.rss", "server.rss/stream", "tester.cpu"}

// ParseAbort reads a condition that ends a run while it goes on, such as
// "p99>2s" or "errors>100". It is about the run so far.
func ParseAbort(text string) (Expect, error) {
	e, err := ParseExpect(text)
	if err != nil {
		return e, errors.New("-abort" + strings.TrimPrefix(err.Error(), "-expect"))
	}
	if slices.Contains(endOnly, e.metric.name) {
		return e, fmt.Errorf("-abort %q: %s is known only when the run is over", text, e.metric.name)
	}
	return e, nil
}

func (u unit) example() string {
	switch u {
	case nanoseconds:
		return "a duration such as 50ms"
	case bytes, bytesRate:
		return "bytes such as 100MB or 512KiB"
	case ratio:
		return "a number such as 0.5, or 50%"
	case rate:
		return "a number a second such as 500 or 10k"
	}
	return "a number such as 100 or 10k, or a share such as 0.1%"
}

var scales = map[unit][]struct {
	suffix string
	size   float64
}{
	bytes: {{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"b", 1}},
	ratio: {{"%", 0.01}},
	count: {{"k", 1e3}, {"m", 1e6}},
}

func (u unit) parse(s string) (float64, bool) {
	switch u {
	case nanoseconds:
		d, err := time.ParseDuration(s)
		return float64(d), err == nil
	case rate:
		s, u = strings.TrimSuffix(s, "/s"), count
	case bytesRate:
		s, u = strings.TrimSuffix(s, "/s"), bytes
	}
	scale := 1.0
	for _, x := range scales[u] {
		if rest, ok := strings.CutSuffix(s, x.suffix); ok {
			s, scale = rest, x.size
			break
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	return v * scale, err == nil && v == v
}

// Check says how r does by the expectation. What was not measured fulfils
// nothing.
func (e Expect) Check(r *Result) Expectation {
	f := e.metric.get(r)
	x := Expectation{Text: e.text, Got: f.show(e.metric.unit)}
	if e.share && f.known {
		whole := e.metric.of(r)
		if !whole.known || whole.v == 0 {
			x.Got = "not measured: there is nothing that it could be a share of"
			return x
		}
		f.v /= whole.v
		x.Got += " of " + e.metric.unit.show(whole.v) + ", " + strconv.FormatFloat(f.v*100, 'g', 4, 64) + " %"
	}
	if !f.known {
		return x
	}
	switch e.op {
	case "<":
		x.OK = f.v < e.limit
	case "<=":
		x.OK = f.v <= e.limit
	case ">":
		x.OK = f.v > e.limit
	case ">=":
		x.OK = f.v >= e.limit
	case "==":
		x.OK = f.v == e.limit
	case "!=":
		x.OK = f.v != e.limit
	}
	return x
}
