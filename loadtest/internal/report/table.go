package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spatehub/spate/loadtest/internal/hist"
)

// Table writes the result for people.
func (r *Result) Table(w io.Writer) {
	t := table{w: w}
	t.title("%s", r.Label())
	t.row("streams", "%s open at most of %s, %s connects, %s resumed, %s dropped by the tester, %s ended by the server",
		group(r.Streams.Peak), group(int64(r.Streams.Wanted)), group(r.Streams.Connects), group(r.Streams.Resumed), group(r.Streams.Dropped), group(r.Streams.Disconnects))
	if r.Config.Publish {
		t.row("published", "%s events, %s (wanted: %s), %s failed, %s",
			group(r.Published.Events), showRate(r.Published.PerSecond), r.Config.Rate, group(r.Published.Failed), showBytes(float64(r.Published.Bytes)))
	}
	t.row("deliveries", "%s of %s expected, %s, %s/s%s", group(r.Deliveries.Count), group(int64(r.Deliveries.Expected)),
		showRate(r.Deliveries.PerSecond), showBytes(r.Deliveries.BytesPerSecond), r.replayed())
	if r.Deliveries.Foreign > 0 {
		t.row("", "%s events were not of this run", group(r.Deliveries.Foreign))
	}
	t.row("checks", "%s", r.checks())
	t.row("time", "ramp %.1f s, publish %.1f s, drain %.1f s", r.Seconds.Ramp, r.Seconds.Publish, r.Seconds.Drain)
	fmt.Fprintln(w)
	r.percentiles(w)
	fmt.Fprintln(w)
	if s := r.Server; s != nil {
		t.row("server", "%.2f processors, %.2f µs per delivery, %s resident (%s before the streams%s)",
			s.CPUShare, s.CPUPerDeliver, showBytes(float64(s.RSSPeak)), showBytes(float64(s.RSSIdle)), s.perStream(", "))
	}
	t.row("tester", "%.2f processors, %s resident, timers late by %s at p99, event loops busy %s",
		r.Tester.CPUShare, showBytes(float64(r.Tester.RSSPeak)), hist.Show(r.Tester.Lag.P99), percent(r.Tester.Busy))
	t.kinds("errors", r.Errors)
	t.kinds("push errors", r.Published.Errors)
	for _, text := range r.Verdict.Warnings {
		t.row("note", "%s", text)
	}
	for _, e := range r.Verdict.Expectations {
		t.row(map[bool]string{true: "held", false: "FAILED"}[e.OK], "%s (%s)", e.Text, e.Got)
	}
	if r.Interrupted {
		t.row("note", "interrupted: the figures are those up to then")
	}
	for _, text := range r.Verdict.Invalid {
		t.row("INVALID RUN", "%s", text)
	}
}

// perStream is the memory per stream, if it could be measured.
func (s *Server) perStream(before string) string {
	if s.KiBPerStream == 0 {
		return ""
	}
	return fmt.Sprintf("%s%.1f KiB per stream", before, s.KiBPerStream)
}

func (r *Result) replayed() string {
	if r.Deliveries.Replayed == 0 {
		return ""
	}
	return ", " + group(r.Deliveries.Replayed) + " of them resent"
}

// checks is one line for what must not happen.
func (r *Result) checks() string {
	c := r.Checks
	var parts []string
	add := func(n int64, what string) {
		if n > 0 {
			parts = append(parts, group(n)+" "+what)
		}
	}
	add(int64(c.Lost), "lost")
	if c.LostAtJoin > 0 {
		parts[len(parts)-1] += " (" + group(int64(c.LostAtJoin)) + " right after joining)"
	}
	add(c.Duplicates, "doubled")
	add(c.Disorder, "out of order")
	add(c.Misaddressed, "misaddressed")
	add(c.Corrupt, "corrupt")
	add(c.IDDisorder, "IDs out of order")
	add(c.Gaps, "gap events")
	add(int64(c.Unread), "not yet read by slow streams")
	if c.Lost == 0 {
		parts = slices.Insert(parts, 0, "nothing lost")
	}
	if len(parts) == 1 && c.Lost == 0 {
		return "nothing lost, doubled, out of order or misaddressed"
	}
	return strings.Join(parts, ", ")
}

// percentiles writes the histograms side by side.
func (r *Result) percentiles(w io.Writer) {
	fmt.Fprintf(w, "%-14s %10s %9s %9s %9s %9s %9s %9s %9s\n", "", "count", "p50", "p90", "p99", "p99.9", "p99.99", "max", "mean")
	for _, x := range r.Summaries() {
		s := x.Summary
		if s.Count == 0 {
			continue
		}
		fmt.Fprintf(w, "%-14s %10s", x.Name, group(s.Count))
		for _, v := range []int64{s.P50, s.P90, s.P99, s.P999, s.P9999, s.Max, s.Mean} {
			fmt.Fprintf(w, " %9s", hist.Show(v))
		}
		fmt.Fprintln(w)
	}
}

// NamedSummary is one row of percentiles.
type NamedSummary struct {
	Name    string
	Meaning string
	Summary hist.Summary
}

// Summaries lists the distributions in the order of the reports.
func (r *Result) Summaries() []NamedSummary {
	return []NamedSummary{
		{"latency", "from when an event was due until a stream had it", r.Latency},
		{"connect", "until a connection was usable, TLS included", r.Connect},
		{"first byte", "from the request to the first byte of the response", r.TTFB},
		{"resume", "from the start of a reconnection until nothing was missing", r.Resume},
		{"push", "from sending a push to its answer", r.Published.Push},
		{"send delay", "from when an event was due until its push was sent", r.Published.Behind},
	}
}

type table struct{ w io.Writer }

func (t table) title(format string, args ...any) {
	fmt.Fprintf(t.w, "\n"+format+"\n", args...)
}

// row writes a name and a text, wrapped under itself.
func (t table) row(name, format string, args ...any) {
	const indent, width = 14, 110
	text := fmt.Sprintf(format, args...)
	for i := 0; text != ""; i++ {
		line := text
		if len(line) > width-indent {
			cut := strings.LastIndexByte(line[:width-indent], ' ')
			if cut <= 0 {
				cut = width - indent
			}
			line = line[:cut]
		}
		text = strings.TrimLeft(text[len(line):], " ")
		if i > 0 {
			name = ""
		}
		fmt.Fprintf(t.w, "%-*s %s\n", indent, name, line)
	}
}

func (t table) kinds(name string, k Kinds) {
	for i, kind := range k.Sorted() {
		if i > 0 {
			name = ""
		}
		t.row(name, "%s× %s", group(k[kind]), kind)
	}
}

// Sorted lists the kinds, the most frequent first.
func (k Kinds) Sorted() []string {
	var names []string
	for name := range k {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if k[a] != k[b] {
			return int(k[b] - k[a])
		}
		return strings.Compare(a, b)
	})
	return names
}
