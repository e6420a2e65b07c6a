package report

import (
	"fmt"
	"io"
	"strings"
)

// compared are the figures of a comparison, in groups.
var compared = []struct {
	title string
	names []string
}{
	{"", []string{"streams", "published/s", "deliveries", "deliveries/s", "bytes/s"}},
	{"latency", []string{"p50", "p90", "p99", "p99.9", "p99.99", "max"}},
	{"faults", []string{"lost", "duplicates", "disorder", "misaddressed", "corrupt", "gaps", "errors", "failed"}},
	{"connections", []string{"connect.p50", "connect.p99", "ttfb.p99", "resume.p50", "resume.p99", "push.p50", "push.p99"}},
	{"server", []string{"server.cpu", "server.cpu/delivery", "server.rss", "server.rss/stream"}},
	{"tester", []string{"tester.cpu", "tester.lag"}},
}

// comparison is one row: a figure of all runs.
type comparison struct {
	Group  string // title of a new group; "" within one
	Name   string
	Values []string
	Ratios []string // to the first run; "" where there is none
}

// compareRows lists the figures that at least one run has.
func compareRows(list []*Result) []comparison {
	var rows []comparison
	for _, g := range compared {
		title := g.title
		for _, name := range g.names {
			m, _ := metricNamed(name)
			row := comparison{Name: name}
			any := false
			base := m.get(list[0])
			for i, r := range list {
				f := m.get(r)
				any = any || f.known
				row.Values = append(row.Values, f.show(m.unit))
				ratio := ""
				if i > 0 && f.known && base.known && base.v > 0 {
					ratio = fmt.Sprintf("×%.2f", f.v/base.v)
				}
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

// Compare writes the runs side by side, with each figure's ratio to the first
// run's.
func Compare(w io.Writer, list []*Result) {
	const name, column = 20, 22
	fmt.Fprintf(w, "\n%-*s", name, "")
	for _, r := range list {
		label := []rune(r.Label())
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
	for _, r := range list {
		for _, text := range r.Verdict.Invalid {
			fmt.Fprintf(w, "INVALID RUN %s: %s\n", r.Label(), text)
		}
	}
	if why := unlike(list); why != "" {
		fmt.Fprintf(w, "note: %s\n", why)
	}
}

// unlike names what makes the runs hard to compare.
func unlike(list []*Result) string {
	var why []string
	a := list[0]
	for _, r := range list[1:] {
		for what, differs := range map[string]bool{
			"machines":      a.Machine != r.Machine,
			"streams":       a.Config.Streams != r.Config.Streams,
			"schedules":     a.Config.Rate != r.Config.Rate,
			"event sizes":   a.Config.Size != r.Config.Size,
			"addressees":    a.Config.To != r.Config.To,
			"ways to read":  a.Config.Mode != r.Config.Mode,
			"publishers":    a.Config.Connections != r.Config.Connections || a.Config.Batch != r.Config.Batch,
			"churn or slow": a.Config.Churn != r.Config.Churn || a.Config.Slow != r.Config.Slow || a.Config.Stall != r.Config.Stall,
		} {
			if differs && !strings.Contains(strings.Join(why, ", "), what) {
				why = append(why, what)
			}
		}
	}
	if len(why) == 0 {
		return ""
	}
	return "the runs differ in " + strings.Join(why, ", ")
}
