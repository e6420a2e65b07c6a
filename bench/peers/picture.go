//go:build linux

package main

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spatehub/spate/bench/internal/server"
)

// shownColumn is a column of the picture: a figure of a work.
type shownColumn struct {
	work   string
	column int
	head   [2]string // two lines
	more   bool      // is better
}

var shown = []shownColumn{
	{"steady", 0, [2]string{"CPU µs a delivery,", "1,000 × 100/s"}, false},
	{"steady", 2, [2]string{"p99 µs,", "1,000 × 100/s"}, false},
	{"many", 0, [2]string{"KiB an idle", "stream"}, false},
	{"flat", 0, [2]string{"deliveries/s,", "flat out"}, true},
	{"unicast", 2, [2]string{"p99 µs, 10,000", "private/s"}, false},
	{"resume", 0, [2]string{"CPU µs a", "resume"}, false},
	{"tls", 0, [2]string{"KiB a stream", "over TLS"}, false},
	{"gzip", 2, [2]string{"CPU µs a gzipped", "delivery, 1 kB"}, false},
}

// The picture's measures, in pixels.
const (
	rowHeight, headHeight, footHeight = 22, 62, 30
	nameWidth, cellWidth, barWidth    = 104, 118, 104
	leastWidth                        = 720 // of the line below the bars
)

// picture draws the figures of those works that were run as bars, a row for each server; a bar is as long as its figure is
// beside the largest of its column.
func picture(all map[string]*results, start time.Time) string {
	var servers []string
	var columns []shownColumn
	for _, c := range shown {
		r := all[c.work]
		if r == nil {
			continue
		}
		columns = append(columns, c)
		for _, s := range r.servers {
			if !slices.Contains(servers, s) && s != server.Schedule {
				servers = append(servers, s)
			}
		}
	}
	width, height := max(leastWidth, nameWidth+len(columns)*cellWidth+8), headHeight+len(servers)*rowHeight+footHeight
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="12" role="img">`+"\n",
		width, height, width, height)
	fmt.Fprintf(&b, "<title>spate beside others: medians, as docs/benchmarks.md has them</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n")
	for i, s := range servers {
		y := headHeight + i*rowHeight
		if ours(s) {
			fmt.Fprintf(&b, `<rect x="0" y="%d" width="%d" height="%d" fill="#eaf4ee"/>`+"\n", y, width, rowHeight)
		}
		text(&b, 8, y+15, "#111", s)
	}
	for i, c := range columns {
		x := nameWidth + i*cellWidth
		better := "shorter is better"
		if c.more {
			better = "longer is better"
		}
		for line, head := range []string{c.head[0], c.head[1], better} {
			text(&b, x, 18+15*line, []string{"#111", "#111", "#777"}[line], head)
		}
		bars(&b, all[c.work], c.column, servers, x)
	}
	text(&b, 8, height-10, "#777", "Medians, measured on "+start.UTC().Format("2 January 2006")+"; one processor for the server. All figures, spread and faults: docs/benchmarks.md.")
	b.WriteString("</svg>\n")
	return b.String()
}

// ours reports whether a server is spate.
func ours(name string) bool { return name == "spate" || strings.HasPrefix(name, "spate-") }

// bars draws one column.
func bars(b *strings.Builder, r *results, column int, servers []string, x int) {
	most := 0.0
	values := make([]float64, len(servers))
	for i, s := range servers {
		values[i] = math.NaN()
		if m := r.medians(s); column < len(m) {
			values[i] = m[column]
		}
		if values[i] > most { // false of NaN
			most = values[i]
		}
	}
	for i, s := range servers {
		y := headHeight + i*rowHeight
		if math.IsNaN(values[i]) {
			text(b, x, y+15, "#999", none)
			continue
		}
		colour := "#b9c4d0"
		if ours(s) {
			colour = "#4caf7d"
		}
		if most > 0 {
			fmt.Fprintf(b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", x, y+4, barWidth*max(0, values[i])/most, rowHeight-8, colour)
		}
		text(b, x+3, y+15, "#111", figure(values[i]))
	}
}

// figure writes a value with three digits or as a whole number.
func figure(v float64) string {
	switch {
	case v < 10:
		return number(v, 2)
	case v < 100:
		return number(v, 1)
	}
	return number(v, 0)
}

func text(b *strings.Builder, x, y int, colour, s string) {
	fmt.Fprintf(b, `<text x="%d" y="%d" fill="%s">%s</text>`+"\n", x, y, colour, html.EscapeString(s))
}
