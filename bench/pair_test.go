//go:build linux

package bench_test

import (
	"slices"
	"testing"
	"time"

	"github.com/spatehub/spate/bench/internal/rig"
	benchserver "github.com/spatehub/spate/bench/internal/server"
)

// pair is a server and the bare loop that it is compared with, or several, each with its own streams, of which only one
// works at a time.
type pair struct {
	rigs []*rig.Rig // the server, its floor, and the floor's twin that sends the server's bytes, if there is one
	runs [][]rig.Figures
}

func pairOf(rigs ...*rig.Rig) *pair {
	return &pair{rigs: rigs, runs: make([][]rig.Figures, len(rigs))}
}

// newPair opens a server and its floor.
func newPair(b *testing.B, server, floor string, load rig.Load) *pair {
	return pairOf(newRig(b, server, load), newRig(b, floor, load))
}

// newTriple opens them, and the floor's twin.
func newTriple(b *testing.B, server, floor string, load rig.Load) *pair {
	return pairOf(newRig(b, server, load), newRig(b, floor, load), newRig(b, floor+benchserver.SameBytes, load))
}

// newRig opens one server with its streams; it is closed with the benchmark.
func newRig(b *testing.B, server string, load rig.Load) *rig.Rig {
	b.Helper()
	r, err := rig.New(server, load)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(r.Close)
	if _, err := r.Connect(64); err != nil {
		b.Fatal(err)
	}
	return r
}

// warmUp runs a short while on each, uncounted: buffers grow to their size, and pools fill.
func (p *pair) warmUp(b *testing.B, w rig.Work) {
	b.Helper()
	w.Duration = min(w.Duration, 500*time.Millisecond)
	for _, r := range p.rigs {
		if _, err := r.Run(w); err != nil {
			b.Fatal(err)
		}
	}
}

// loop runs the work b.N times on each, in turns, so that a machine which grows busier meanwhile does so to all.
func (p *pair) loop(b *testing.B, w rig.Work) {
	b.Helper()
	p.warmUp(b, w)
	for b.Loop() {
		for i, r := range p.rigs {
			f, err := r.Run(w)
			if err != nil {
				b.Fatal(err)
			}
			if faults := f.Faults(); faults != "" {
				b.Errorf("%s: %s", r.Name, faults)
			}
			p.runs[i] = append(p.runs[i], f)
		}
	}
}

// medians returns the medians of a figure over the server's runs and the floor's.
func (p *pair) medians(figure func(*rig.Figures) float64) (server, floor float64) {
	return median(p.runs[0], figure), median(p.runs[1], figure)
}

func median(runs []rig.Figures, figure func(*rig.Figures) float64) float64 {
	if len(runs) == 0 {
		return 0
	}
	values := make([]float64, len(runs))
	for i := range runs {
		values[i] = figure(&runs[i])
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// report writes a figure of the server, that of the floor, and how many times the floor's it is.
func (p *pair) report(b *testing.B, unit string, figure func(*rig.Figures) float64) {
	server, floor := p.medians(figure)
	b.ReportMetric(server, unit)
	b.ReportMetric(floor, "floor-"+unit)
	if floor > 0 {
		b.ReportMetric(server/floor, unit+"/floor")
	}
	if len(p.runs) > 2 {
		if twin := median(p.runs[2], figure); twin > 0 {
			b.ReportMetric(server/twin, unit+"/same-bytes")
		}
	}
}

// reportLatency writes the usual figures of a run on schedule.
func (p *pair) reportLatency(b *testing.B) {
	p.report(b, "cpu-µs/delivery", (*rig.Figures).PerDelivery)
	p.report(b, "p50-µs", func(f *rig.Figures) float64 { return micros(f.Latency.P50) })
	p.report(b, "p99-µs", func(f *rig.Figures) float64 { return micros(f.Latency.P99) })
	b.ReportMetric(median(p.runs[0], func(f *rig.Figures) float64 { return micros(f.Latency.Max) }), "max-µs")
	b.ReportMetric(median(p.runs[0], (*rig.Figures).Rate), "deliveries/s")
	b.ReportMetric(median(p.runs[0], func(f *rig.Figures) float64 { return f.ReaderBusy }), "loader-busy")
	b.ReportMetric(0, "ns/op") // the length of a run, which says nothing
}

func micros(d time.Duration) float64 { return float64(d) / 1e3 }
