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
	t.row("streams", "%s open at most of %s, %s connects, %s resumed, %s dropped by the tester, %s ended by the server%s",
		group(r.Streams.Peak), group(int64(r.Streams.Wanted)), group(r.Streams.Connects), group(r.Streams.Resumed), group(r.Streams.Dropped), group(r.Streams.Disconnects), r.otherStreams())
	if r.Config.Publish {
		t.row("published", "%s events, %s (wanted: %s), %s failed, %s",
			group(r.Published.Events), showRate(r.Published.PerSecond), r.Config.Rate, group(r.Published.Failed), showBytes(float64(r.Published.Bytes)))
	}
	switch {
	case r.Config.Finite:
	case r.Deliveries.Unchecked:
		t.row("deliveries", "%s: no event carried the stamp of this run; %s events in all, %s/s", hist.NotMeasured, group(r.Deliveries.Events), showBytes(r.Deliveries.BytesPerSecond))
	default:
		t.row("deliveries", "%s of %s expected, %s, %s/s%s", group(r.Deliveries.Count), group(int64(r.Deliveries.Expected)),
			showRate(r.Deliveries.PerSecond), showBytes(r.Deliveries.BytesPerSecond), r.replayed())
	}
	if r.Deliveries.Foreign > 0 && !r.Deliveries.Unchecked {
		t.row("", "%s events were not of this run", group(r.Deliveries.Foreign))
	}
	for _, g := range r.Groups {
		t.row("group", "%s: %s streams, %s deliveries, %s lost, p50 %s, p99 %s", g.Name, group(int64(g.Streams)), group(g.Deliveries), group(int64(g.Lost)),
			g.Latency.Show(g.Latency.P50), g.Latency.Show(g.Latency.P99))
	}
	r.observedRows(t)
	r.completionRows(t)
	t.row("checks", "%s", r.checks())
	t.row("time", "ramp %.1f s, publish %.1f s, drain %.1f s", r.Seconds.Ramp, r.Seconds.Publish, r.Seconds.Drain)
	fmt.Fprintln(w)
	r.percentiles(w)
	fmt.Fprintln(w)
	if s := r.Server; s != nil {
		t.row("server", "%.2f processors, %s per delivery, %s resident (%s before the streams%s)",
			s.CPUShare, s.perDelivery(), showBytes(float64(s.RSSPeak)), showBytes(float64(s.RSSIdle)), s.perStream(", "))
	}
	t.row("tester", "%.2f processors, %s resident, timers late by %s at p99, event loops busy %s",
		r.Tester.CPUShare, showBytes(float64(r.Tester.RSSPeak)), r.Tester.Lag.Show(r.Tester.Lag.P99), percent(r.Tester.Busy))
	t.kinds("errors", r.Errors)
	t.kinds("push errors", r.Published.Errors)
	for _, text := range r.Verdict.Warnings {
		t.row("note", "%s", text)
	}
	for _, e := range r.Verdict.Expectations {
		t.row(r.Word(e), "%s (%s)", e.Text, e.Got)
	}
	if r.Interrupted {
		t.row("INTERRUPTED", "the figures are those up to then, and no expectation counts as held (exit code %d)", ExitInterrupted)
	}
	for _, text := range r.Verdict.Invalid {
		t.row("INVALID RUN", "%s", text)
	}
}

// Word is the word for how the run did by an expectation.
func (r *Result) Word(e Expectation) string {
	switch {
	case !e.OK:
		return "FAILED"
	case r.Interrupted:
		return "so far"
	}
	return "held"
}

// otherStreams tells of what the counts of streams leave out.
func (r *Result) otherStreams() string {
	var s string
	if n := r.Streams.SentAway; n > 0 {
		s += fmt.Sprintf(", %s told by 204 to stay away", group(int64(n)))
	}
	if n := r.Streams.Tried; n > 0 {
		s += fmt.Sprintf("; %d more before the run, to try the URL", n)
	}
	return s
}

// perDelivery is the processor time of a delivery, if it could be measured.
func (s *Server) perDelivery() string {
	if s.CPUPerDeliver == 0 {
		return "processor time " + hist.NotMeasured
	}
	return fmt.Sprintf("%.2f µs", s.CPUPerDeliver)
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
	lost := group(int64(c.Lost)) + " lost"
	if c.LostAtJoin > 0 {
		lost += " (" + group(int64(c.LostAtJoin)) + " right after joining)"
	}
	if c.Lost > 0 {
		parts = append(parts, lost)
	}
	add(c.Duplicates, "doubled")
	add(c.Disorder, "out of order")
	add(c.Misaddressed, "misaddressed")
	add(c.Corrupt, "corrupt")
	switch {
	case c.IDSwapped > 0:
		add(c.IDDisorder, fmt.Sprintf("IDs out of order (%s of them of events that are doubled or out of order)", group(c.IDSwapped)))
	default:
		add(c.IDDisorder, "IDs out of order")
	}
	add(c.IDMissing, "without a decimal ID")
	add(c.Gaps, "gap events")
	add(int64(c.Unread), "not yet read by slow streams")
	switch sound, checked := c.Sound(); {
	case !checked:
		parts = slices.Insert(parts, 0, "loss, doubles, order and addressees "+hist.NotMeasured)
	case sound:
		parts = slices.Insert(parts, 0, "nothing lost, doubled, out of order or misaddressed"+r.ofWhatIsKnown())
	case c.Lost == 0:
		parts = slices.Insert(parts, 0, "nothing lost"+r.ofWhatIsKnown())
	}
	if c.Lost > 0 && c.Corrupt > 0 {
		parts = append(parts, "where a corrupt event did not come again whole, it is in lost too")
	}
	if c.MissedAway > 0 {
		parts = append(parts, group(int64(c.MissedAway))+" published while streams were away that could not resume: not owed to them, and whether the server had kept them cannot be known")
	}
	return strings.Join(parts, ", ")
}

// ofWhatIsKnown limits a statement to what can be known.
func (r *Result) ofWhatIsKnown() string {
	switch {
	case r.Checks.Elsewhere:
		return " between the events that came; what came before and after them is not known here"
	case r.Checks.MissedAway > 0:
		return " of what was owed"
	}
	return ""
}

// percentiles writes the histograms side by side.
func (r *Result) percentiles(w io.Writer) {
	fmt.Fprintf(w, "%-14s %10s %9s %9s %9s %9s %9s %9s %9s\n", "", "count", "p50", "p95", "p99", "p99.9", "p99.99", "max", "mean")
	for _, x := range r.Summaries() {
		s := x.Summary
		if s.Count == 0 {
			continue
		}
		fmt.Fprintf(w, "%-14s %10s", x.Name, group(s.Count))
		for _, v := range []int64{s.P50, s.P95, s.P99, s.P999, s.P9999, s.Max, s.Mean} {
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
		{"first event", "from the request to the first event of a connection", r.Events.First},
		{"gap", "between two events of a stream", r.Events.Gap},
		{"delay", "from the time in the data to the receipt", r.Events.Delay},
		{"first token", "from when a request was due to its first token", r.finite().Token},
		{"between", "between two tokens", r.finite().Between},
		{"whole", "from when a request was due to the end of its stream", r.finite().Whole},
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
