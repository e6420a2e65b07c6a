//go:build linux

package bench_test

import (
	"testing"

	"github.com/spatehub/spate/bench/internal/rig"
	"github.com/spatehub/spate/loadtest/stamp"
)

// BenchmarkStalled: what do clients that never read do to the others? Both sides are the same server, once with healthy
// streams alone; before each run, the kernel's buffers of the stalled ones are filled to the brim, so that they are
// behind from its first event on.
func BenchmarkStalled(b *testing.B) {
	for _, c := range []struct {
		name             string
		healthy, stalled int
		size             int
		rate             float64
	}{
		{"streams=10000/stalled=100/rate=2", 9_900, 100, eventSize, 2},
		{"streams=202/stalled=2/rate=100", 200, 2, 8 << 10, 100},
	} {
		for _, server := range []string{"spate", "spate-log"} {
			b.Run(c.name+"/server="+server, func(b *testing.B) {
				p := pairOf(
					newRig(b, server, rig.Load{Streams: c.healthy, Stalled: c.stalled, Kind: stamp.Broadcast}),
					newRig(b, server, rig.Load{Streams: c.healthy, Kind: stamp.Broadcast}))
				if err := p.rigs[0].Fill(stalledFill/stalledEvent, stalledEvent); err != nil {
					b.Fatal(err)
				}
				p.loop(b, rig.Work{Rate: c.rate, Size: c.size, Duration: span})
				p.reportStalled(b)
			})
		}
	}
}

// A stalled stream has stalledFill bytes waiting, in events of stalledEvent: more than the kernel holds for it, and more
// than a client's queue may.
const (
	stalledFill  = 8 << 20
	stalledEvent = 8 << 10
)

// reportStalled writes the healthy streams' figures with stalled ones beside them, and without.
func (p *pair) reportStalled(b *testing.B) {
	for _, x := range []struct {
		unit   string
		figure func(*rig.Figures) float64
	}{
		{"p50-µs", func(f *rig.Figures) float64 { return micros(f.Latency.P50) }},
		{"p99-µs", func(f *rig.Figures) float64 { return micros(f.Latency.P99) }},
		{"cpu-µs/delivery", (*rig.Figures).PerDelivery},
	} {
		with, without := p.medians(x.figure)
		b.ReportMetric(with, x.unit)
		b.ReportMetric(without, "alone-"+x.unit)
		b.ReportMetric(with/without, x.unit+"/alone")
	}
	b.ReportMetric(median(p.runs[0], func(f *rig.Figures) float64 { return float64(f.Usage.RSS) / (1 << 20) }), "MiB-resident")
	b.ReportMetric(median(p.runs[1], func(f *rig.Figures) float64 { return float64(f.Usage.RSS) / (1 << 20) }), "alone-MiB-resident")
	info, err := p.rigs[0].Info()
	if err != nil {
		b.Fatal(err)
	}
	if info.Counters["stalled"] == 0 {
		b.Errorf("no stream is stalled: %v", info.Counters)
	}
	b.ReportMetric(0, "ns/op")
}
