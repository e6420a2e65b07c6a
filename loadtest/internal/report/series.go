package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
)

// Series is a test that was run several times, or once.
type Series []*Result

// seriesFile is the JSON of a series of more than one run.
type seriesFile struct {
	Version int    `json:"version"`
	Runs    Series `json:"runs"`
}

// Write writes the series as JSON: a single run as its result, several as
// {"version":1,"runs":[...]}.
func (s Series) Write(w io.Writer) error {
	if len(s) == 1 {
		return s[0].Write(w)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	return enc.Encode(seriesFile{Version, s})
}

// ReadSeries reads what Write wrote.
func ReadSeries(file string) (Series, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var f seriesFile
	if json.Unmarshal(b, &f) != nil || len(f.Runs) == 0 {
		r, err := Read(file)
		return Series{r}, err
	}
	if f.Version != Version {
		return nil, fmt.Errorf("%s: %w", file, errVersion)
	}
	return f.Runs, nil
}

// values are the runs' values of a metric in rising order; nil if a run has not
// measured it.
func (s Series) values(m metric) []float64 {
	var list []float64
	for _, r := range s {
		f := m.get(r)
		if !f.known {
			return nil
		}
		list = append(list, f.v)
	}
	slices.Sort(list)
	return list
}

// median of a list in rising order.
func median(list []float64) float64 {
	n := len(list)
	return (list[(n-1)/2] + list[n/2]) / 2
}

// Median is the run in the middle by p99 of the latency, to be shown for all.
func (s Series) Median() *Result {
	list := slices.Clone(s)
	slices.SortStableFunc(list, func(a, b *Result) int { return int(a.Latency.P99 - b.Latency.P99) })
	return list[(len(list)-1)/2]
}

// ExitCode is the worst of the runs': interrupted, invalid, then unexpected.
func (s Series) ExitCode() int {
	code := ExitOK
	for _, r := range s {
		code = max(code, r.ExitCode())
	}
	return code
}

// Spread writes how much the figures of the series differ from run to run.
func (s Series) Spread(w io.Writer) {
	if len(s) < 2 {
		return
	}
	fmt.Fprintf(w, "\n%d runs: %-16s %12s %12s %12s\n", len(s), "", "lowest", "median", "highest")
	for _, g := range compared {
		for _, name := range g.names {
			m, _ := metricNamed(name)
			v := s.values(m)
			if v == nil || v[len(v)-1] == 0 {
				continue
			}
			fmt.Fprintf(w, "%-24s %12s %12s %12s\n", name, m.unit.show(v[0]), m.unit.show(median(v)), m.unit.show(v[len(v)-1]))
		}
	}
}
