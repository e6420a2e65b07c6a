//go:build linux

package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spatehub/spate/bench/internal/reader"
)

// results are all samples of one work.
type results struct {
	servers []string
	samples map[string][]sample
}

func (r *results) add(server string, s sample) {
	if r.samples == nil {
		r.samples = map[string][]sample{}
	}
	if !slices.Contains(r.servers, server) {
		r.servers = append(r.servers, server)
	}
	r.samples[server] = append(r.samples[server], s)
}

// medians returns the median of each column over the runs of a server that gave figures, NaN where none did; nil if no
// run counts.
func (r *results) medians(server string) []float64 {
	width := 0
	for _, s := range r.samples[server] {
		width = max(width, len(s.values))
	}
	var list []float64
	for i := range width {
		median := math.NaN()
		if values := r.column(server, i); len(values) > 0 {
			median = quantile(values, 0.5)
		}
		list = append(list, median)
	}
	return list
}

// table writes the work's table.
func (r *results) table(b *strings.Builder, w *work, o options) {
	fmt.Fprintf(b, "\n### %s\n\n%s\n\n", w.title, w.text)
	if o.short && strings.Contains(w.title, "10,000") {
		fmt.Fprintf(b, "A short run: a quarter of the streams.\n\n")
	}
	if w.rounds > 0 && o.rounds > w.rounds {
		fmt.Fprintf(b, "Of this, the first %d of the rounds only.\n\n", w.rounds)
	}
	heads, rule := "| server |", "| --- |"
	for _, c := range w.columns {
		heads += " " + c.head + " |"
		rule += " ---: |"
	}
	fmt.Fprintf(b, "%s went wrong |\n%s --- |\n", heads, rule)
	var notes []string
	for _, server := range r.servers {
		fmt.Fprintf(b, "| %s |", server)
		mark, wrong := "", r.faults(server)
		if why := r.cannot(server); why != "" {
			notes = append(notes, fmt.Sprintf("<sup>%d</sup> %s: %s.", len(notes)+1, server, why))
			mark, wrong = fmt.Sprintf("<sup>%d</sup>", len(notes)), none
		}
		m := r.medians(server)
		for i, c := range w.columns {
			fmt.Fprintf(b, " %s%s%s |", r.cell(c, i, m), r.spread(server, i), mark)
		}
		fmt.Fprintf(b, " %s |\n", wrong)
	}
	if len(notes) > 0 {
		fmt.Fprintf(b, "\n%s\n", strings.Join(notes, "<br>\n"))
	}
}

// none stands where there is no figure.
const none = "–"

// cannot is why the server cannot do the work, "" if it can.
func (r *results) cannot(server string) string {
	for _, s := range r.samples[server] {
		if s.cannot != "" {
			return s.cannot
		}
	}
	return ""
}

// cell writes one figure, with its ratio to the floor's where there is one.
func (r *results) cell(c column, i int, medians []float64) string {
	if i >= len(medians) || math.IsNaN(medians[i]) {
		return none
	}
	s := number(medians[i], c.digits)
	if floor := r.medians(c.floor); i < len(floor) && floor[i] > 0 {
		s += fmt.Sprintf(" (%.2f)", medians[i]/floor[i])
	}
	return s
}

// spread is how far the middle half of a column's values lies around its median; "" of fewer than three.
func (r *results) spread(server string, i int) string {
	v := r.column(server, i)
	if len(v) < 3 {
		return ""
	}
	if m := quantile(v, 0.5); m > 0 {
		return fmt.Sprintf(" ±%.0f %%", 50*(quantile(v, 0.75)-quantile(v, 0.25))/m)
	}
	return ""
}

// column returns the values of a column in rising order.
func (r *results) column(server string, i int) []float64 {
	var list []float64
	for _, s := range r.samples[server] {
		if i < len(s.values) && !math.IsNaN(s.values[i]) {
			list = append(list, s.values[i])
		}
	}
	slices.Sort(list)
	return list
}

// quantile reads a value out of a list in rising order, between two of them where it has to.
func quantile(list []float64, q float64) float64 {
	at := q * float64(len(list)-1)
	lo := int(at)
	if lo+1 >= len(list) {
		return list[len(list)-1]
	}
	return list[lo] + (at-float64(lo))*(list[lo+1]-list[lo])
}

// faults sums up what went wrong in all runs of a server.
func (r *results) faults(server string) string {
	var sum reader.Counts
	var others []string
	uncounted := 0
	for _, s := range r.samples[server] {
		sum.Add(&s.counts)
		if s.values == nil {
			uncounted++
		}
		for part := range strings.SplitSeq(s.fault, "; ") {
			if part != "" && part != s.counts.String() && !slices.Contains(others, part) {
				others = append(others, part)
			}
		}
	}
	if total := sum.String(); total != "" {
		share := float64(sum.Disorder+sum.Lost+sum.Duplicates) / float64(max(1, sum.Deliveries+sum.Lost))
		others = append([]string{fmt.Sprintf("%s of %s (%.1f %%)", total, number(float64(sum.Deliveries+sum.Lost), 0), 100*share)}, others...)
	}
	if n := len(r.samples[server]); uncounted > 0 && uncounted < n {
		others = append(others, fmt.Sprintf("%d of %d runs do not count", uncounted, n))
	}
	if len(others) == 0 {
		return "nothing"
	}
	return strings.ReplaceAll(strings.Join(others, "; "), "|", "/")
}
