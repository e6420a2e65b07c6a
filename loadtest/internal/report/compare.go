package report

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/spatehub/spate/loadtest/internal/hist"
)

// compared are the figures of a comparison, in groups.
var compared = []struct {
	title string
	names []string
}{
	{"", []string{"streams", "published/s", "deliveries", "deliveries/s", "bytes/s", "events/s", "completions/s", "tokens/s"}},
	{"latency", []string{"p50", "p90", "p95", "p99", "p99.9", "p99.99", "max"}},
	{"events", []string{"first-event.p50", "gap.p99", "silence", "silences", "delay.p50", "delay.p99", "token.p50", "token.p99", "between.p50", "between.p99", "truncated", "refused"}},
	{"faults", []string{"lost", "missed-away", "duplicates", "disorder", "misaddressed", "corrupt", "id-disorder", "id-missing", "gaps", "errors", "failed"}},
	{"connections", []string{"connect.p50", "connect.p99", "ttfb.p99", "resume.p50", "resume.p99", "push.p50", "push.p99"}},
	{"server", []string{"server.cpu", "server.cpu/delivery", "server.rss", "server.rss/stream"}},
	{"tester", []string{"tester.cpu", "tester.lag"}},
}

// comparison is one row: a figure of all series.
type comparison struct {
	Group  string // title of a new group; "" within one
	Name   string
	Values []string
	Ratios []string // to the first series; "" where there is none
}

// compareRows lists the figures that at least one run has.
func compareRows(list []Series) []comparison {
	var rows []comparison
	for _, g := range compared {
		title := g.title
		for _, name := range g.names {
			m, _ := metricNamed(name)
			row := comparison{Name: name}
			any := false
			base := list[0].values(m)
			for i, s := range list {
				v := s.values(m)
				any = any || v != nil
				text, ratio := hist.NotMeasured, ""
				if v != nil {
					text = m.unit.show(median(v)) + spread(v)
				}
				if i > 0 && v != nil && base != nil {
					ratio = judge(m, base, v)
				}
				row.Values = append(row.Values, text)
				row.Ratios = append(row.Ratios, ratio)
			}
			if !any {
				continue
			}
			row.Group, title = title, ""
			rows = append(rows, row)
		}
	}
	return rows
}

// spread is how far the values go from their median, in percent.
func spread(v []float64) string {
	if m := median(v); len(v) > 1 && m > 0 {
		return fmt.Sprintf(" ±%.0f%%", 50*(v[len(v)-1]-v[0])/m)
	}
	return ""
}

// knownNoise is how many runs of each side it takes to tell a difference from
// noise: that all of four are beyond all of four others happens by chance in 3 of
// 100 comparisons.
const knownNoise = 4

// beyondNoise reports whether all values of one side are beyond all of the other's;
// ok is false if there are too few.
func beyondNoise(a, b []float64) (beyond, ok bool) {
	if len(a) < knownNoise || len(b) < knownNoise {
		return false, false
	}
	return a[len(a)-1] < b[0] || b[len(b)-1] < a[0], true
}

// judge compares two sides in words: the ratio, and whether it is better, worse or
// noise where that can be known.
func judge(m metric, a, b []float64) string {
	x, y := median(a), median(b)
	text := ""
	if x > 0 {
		text = fmt.Sprintf("×%.2f", y/x)
	}
	beyond, ok := beyondNoise(a, b)
	switch {
	case !ok:
	case !beyond:
		text += " ~"
	case (y > x) == m.more:
		text += " better"
	default:
		text += " worse"
	}
	return strings.TrimSpace(text)
}

// Tolerance is how much worse a figure may be than that of the first run.
type Tolerance struct {
	text   string
	metric metric
	limit  float64 // share of the first run's value, or an amount
	share  bool
}

// ParseTolerance reads "p99=20%", "lost=0" or "server.rss=10MB".
func ParseTolerance(s string) (Tolerance, error) {
	name, value, ok := strings.Cut(strings.TrimSpace(s), "=")
	if !ok {
		return Tolerance{}, fmt.Errorf("-tolerance %q: write for example p99=20%%, lost=0 or server.rss=10MB", s)
	}
	t := Tolerance{text: strings.TrimSpace(s)}
	if t.metric, ok = metricNamed(name); !ok {
		return t, fmt.Errorf("-tolerance %q: there is no figure %q; there are %s", s, name, strings.Join(MetricNames(), ", "))
	}
	if num, percent := strings.CutSuffix(value, "%"); percent {
		v, err := strconv.ParseFloat(num, 64)
		if err != nil || !(v >= 0) {
			return t, fmt.Errorf("-tolerance %q: %q is no share such as 20%%", s, value)
		}
		t.limit, t.share = v/100, true
		return t, nil
	}
	if t.limit, ok = t.metric.unit.parse(strings.ToLower(value)); !ok || t.limit < 0 {
		return t, fmt.Errorf("-tolerance %q: %s takes a share such as 20%%, or %s, not %q", s, name, t.metric.unit.example(), value)
	}
	return t, nil
}

// Check says whether b is worse than a by more than the tolerance. Where noise is
// known, a difference within it is none. What was not measured is not tolerated.
func (t Tolerance) Check(a, b Series) Expectation {
	e := Expectation{Text: t.text}
	m := t.metric
	x, y := a.values(m), b.values(m)
	if x == nil || y == nil {
		e.Got = hist.NotMeasured
		return e
	}
	from, to := median(x), median(y)
	worse := to - from
	if m.more {
		worse = from - to
	}
	limit := t.limit
	if t.share {
		limit *= math.Abs(from)
	}
	beyond, known := beyondNoise(x, y)
	e.OK = worse <= limit || known && !beyond
	e.Got = fmt.Sprintf("%s → %s", m.unit.show(from)+spread(x), m.unit.show(to)+spread(y))
	switch {
	case !known:
		e.Got += fmt.Sprintf("; noise not known with fewer than %d runs of each (run -repeat)", knownNoise)
	case !beyond:
		e.Got += ", within the noise"
	}
	return e
}

// Compare writes the series side by side, with each figure's ratio to the first
// one's, and by what they differ in set-up.
func Compare(w io.Writer, list []Series, checks []Expectation) {
	const name, column = 20, 30
	fmt.Fprintf(w, "\n%-*s", name, "")
	for _, s := range list {
		label := []rune(s[0].Label())
		fmt.Fprintf(w, "%*s", column, string(label[:min(len(label), column-2)]))
	}
	fmt.Fprintln(w)
	for _, row := range compareRows(list) {
		if row.Group != "" {
			fmt.Fprintf(w, "%s\n", strings.ToUpper(row.Group))
		}
		fmt.Fprintf(w, "%-*s", name, row.Name)
		for i, v := range row.Values {
			if row.Ratios[i] != "" {
				v += " " + row.Ratios[i]
			}
			fmt.Fprintf(w, "%*s", column, v)
		}
		fmt.Fprintln(w)
	}
	for _, s := range list {
		for _, r := range s {
			for _, text := range r.Verdict.Invalid {
				fmt.Fprintf(w, "INVALID RUN %s: %s\n", r.Label(), text)
			}
		}
	}
	for _, text := range unlike(list) {
		fmt.Fprintf(w, "differs in %s\n", text)
	}
	for _, e := range checks {
		fmt.Fprintf(w, "%-10s %s (%s)\n", map[bool]string{true: "tolerated", false: "WORSE"}[e.OK], e.Text, e.Got)
	}
}

// Countable reports whether all runs of all series are valid and whole.
func Countable(list []Series) bool {
	for _, s := range list {
		for _, r := range s {
			if !r.Verdict.Valid || r.Interrupted {
				return false
			}
		}
	}
	return true
}

// mayDiffer are the parts of a configuration that say nothing about the load.
var mayDiffer = []string{"name", "run_id", "server_pid", "expect"}

// unlike lists every difference in the set-up of a series to the first one's: the
// machine, the configuration, and what publishing and streams came to.
func unlike(list []Series) []string {
	var why []string
	a := setUp(list[0][0])
	for _, s := range list[1:] {
		b := setUp(s[0])
		keys := map[string]bool{}
		for k := range a {
			keys[k] = true
		}
		for k := range b {
			keys[k] = true
		}
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			if x, y := a[k], b[k]; x != y && !slices.Contains(mayDiffer, k) {
				text := fmt.Sprintf("%s: %s, %s", k, orNone(x), orNone(y))
				if !slices.Contains(why, text) {
					why = append(why, text)
				}
			}
		}
	}
	return why
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// setUp is everything that a run was told, and where it was, by name.
func setUp(r *Result) map[string]string {
	all := map[string]string{}
	for prefix, v := range map[string]any{"": r.Config, "machine.": r.Machine} {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err) // both are plain data
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(b, &fields); err != nil {
			panic(err)
		}
		for k, v := range fields {
			all[prefix+k] = string(v)
		}
	}
	return all
}
