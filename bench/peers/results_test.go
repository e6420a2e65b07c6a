//go:build linux

package main

import (
	"encoding/xml"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/bench/internal/reader"
)

// sampled is a table of two columns with one server of each kind: one that counts, one that lost events in one of three
// runs, one that lost some in every run, one that cannot, one that does not know a figure.
func sampled() (*work, *results) {
	w := &work{name: "w", title: "A work", text: "What it is.", columns: []column{
		{head: "CPU", digits: 1, floor: "base"}, {head: "p99"},
	}}
	r := &results{}
	lost := sample{values: []float64{1, 1}, counts: reader.Counts{Deliveries: 90, Lost: 10}}
	for i := range 3 {
		r.add("base", sample{values: []float64{float64(2 + 2*i), 1000}, counts: reader.Counts{Deliveries: 100}}.checked())
		r.add("unknown", sample{values: []float64{8, math.NaN()}}.checked())
		r.add("cannot", sample{cannot: "keeps nothing"})
		r.add("never", lost.checked())
		if i == 0 {
			r.add("once", lost.checked())
		} else {
			r.add("once", sample{values: []float64{3, 5}, counts: reader.Counts{Deliveries: 100}}.checked())
		}
	}
	return w, r
}

// TestTable: figures are medians of the runs that count, with spread and ratio; a run in which something is missing does
// not count; what is not known, or cannot be done, is a dash and never a zero.
func TestTable(t *testing.T) {
	w, r := sampled()
	var b strings.Builder
	r.table(&b, w, options{rounds: 3})
	require.Equal(t, `
### A work

What it is.

| server | CPU | p99 | went wrong |
| --- | ---: | ---: | --- |
| base | 4.0 (1.00) ±25 % | 1,000 ±0 % | nothing |
| unknown | 8.0 (2.00) ±0 % | – | nothing |
| cannot | –<sup>1</sup> | –<sup>1</sup> | – |
| never | – | – | 30 lost of 300 (10.0 %) |
| once | 3.0 (0.75) | 5 | 10 lost of 300 (3.3 %); 1 of 3 runs do not count |

<sup>1</sup> cannot: keeps nothing.
`, b.String())
}

// TestRunsThatDoNotCount: a stuck publisher and streams that ended take the figures away, disorder and doubles do not.
func TestRunsThatDoNotCount(t *testing.T) {
	for name, s := range map[string]sample{
		"lost":  {counts: reader.Counts{Lost: 1}},
		"ended": {counts: reader.Counts{Ended: 1}},
		"stuck": {fault: "5 lost; publisher stuck"},
	} {
		s.values = []float64{1}
		require.Nil(t, s.checked().values, name)
	}
	s := sample{values: []float64{1}, counts: reader.Counts{Disorder: 3, Duplicates: 2}, fault: "2 doubled"}
	require.NotNil(t, s.checked().values)
}

// TestPage: the tables replace those of the page before, and the command that is told makes them again.
func TestPage(t *testing.T) {
	o, err := parse([]string{"-rounds", "3", "-works", "flat", "-note", "Something else ran."})
	require.NoError(t, err)
	o.missing = []string{"nchan: no nginx"}
	o.servers = allServers()[:len(allServers())-1]
	_, r := sampled()
	text := page(o, map[string]*results{"flat": r}, time.Unix(0, 0), time.Minute, 0, "0.5")
	require.Contains(t, text, "| command | `make bench-peers ROUNDS=3 ARGS='-works flat'` |")
	require.Contains(t, text, "| not on the machine | nchan: no nginx |")
	require.Contains(t, text, "Something else ran.")
	require.Contains(t, text, "load average 0.5 when it began")
	require.Contains(t, text, "The time was up")
	require.NotContains(t, text, "### "+works[0].title)

	file := filepath.Join(t.TempDir(), "page.md")
	require.NoError(t, os.WriteFile(file, []byte("before\n\n"+beginMark+"\nold\n"+endMark+"\nafter\n"), 0o600))
	require.NoError(t, replace(file, text))
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "before\n\n"+text+"after\n", string(got))
}

// TestPicture: the picture is well-formed, has a row for each server, a bar for each figure and a dash where there is none.
func TestPicture(t *testing.T) {
	_, r := sampled()
	svg := picture(map[string]*results{"steady": r}, time.Unix(0, 0))
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		if _, err := d.Token(); err != nil {
			require.ErrorIs(t, err, io.EOF)
			break
		}
	}
	for _, s := range r.servers {
		require.Contains(t, svg, ">"+s+"</text>")
	}
	require.Equal(t, 3, strings.Count(svg, `height="14"`), "bars: of CPU, and there is no third column")
	require.Contains(t, svg, ">–</text>")
	require.Contains(t, svg, "1 January 1970")
	require.NotContains(t, svg, "deliveries/s", "of a work that was not run")
}

// TestNobodyIsMissed: every work of the picture is there, with that column, and every server that a work leaves out or
// adds has a name that is known.
func TestNobodyIsMissed(t *testing.T) {
	for _, c := range shown {
		var found bool
		for i := range works {
			found = found || works[i].name == c.work && c.column < len(works[i].columns)
		}
		require.True(t, found, c.work)
	}
	for i := range works {
		for _, name := range works[i].without {
			require.Contains(t, allServers(), name, works[i].name)
		}
		for _, c := range works[i].columns {
			if c.floor != "" {
				require.Contains(t, works[i].among(allServers()), c.floor, works[i].name)
			}
		}
	}
}
