//go:build linux

package main

import (
	"fmt"
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

// medians returns the median of each column over the runs of a server that gave figures; nil if none did.
func (r *results) medians(server string) []float64 {
	var runs [][]float64
	width := 0
	for _, s := range r.samples[server] {
		if s.values != nil {
			runs = append(runs, s.values)
			width = max(width, len(s.values))
		}
	}
	if len(runs) == 0 {
		return nil
	}
	list := make([]float64, width)
	for col := range list {
		var values []float64
		for _, v := range runs {
			if col < len(v) {
				values = append(values, v[col])
			}
		}
		slices.Sort(values)
		n := len(values)
		list[col] = (values[(n-1)/2] + values[n/2]) / 2
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
	for _, server := range r.servers {
		fmt.Fprintf(b, "| %s |", server)
		m := r.medians(server)
		for i, c := range w.columns {
			fmt.Fprintf(b, " %s%s |", r.cell(c, i, m), r.spread(server, i))
		}
		fmt.Fprintf(b, " %s |\n", r.faults(server))
	}
}

// cell writes one figure, with its ratio to the floor's where there is one.
func (r *results) cell(c column, i int, medians []float64) string {
	if i >= len(medians) {
		return "–"
	}
	s := number(medians[i], c.digits)
	if floor := r.medians(c.floor); i < len(floor) && floor[i] > 0 {
		s += fmt.Sprintf(" (%.2f)", medians[i]/floor[i])
	}
	return s
}

// spread is how far the middle half of a column's values lies around its median; "" of fewer than four.
func (r *results) spread(server string, i int) string {
	v := r.column(server, i)
	if len(v) < 4 {
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
		if i < len(s.values) {
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
	for _, s := range r.samples[server] {
		sum.Add(&s.counts)
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
	if len(others) == 0 {
		return "nothing"
	}
	return strings.ReplaceAll(strings.Join(others, "; "), "|", "/")
}
