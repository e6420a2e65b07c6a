//go:build linux

package bench_test

import (
	"fmt"
	"testing"

	"github.com/spatehub/spate/bench/internal/rig"
	"github.com/spatehub/spate/loadtest/stamp"
)

// eventSize is the size of an event's data in bytes where a benchmark does not say otherwise.
const eventSize = 200

// BenchmarkBroadcast: what does one delivery cost the server, and how long is an event under way, when everybody gets
// every event at a steady rate?
func BenchmarkBroadcast(b *testing.B) {
	for _, shape := range []struct {
		streams int
		rate    float64
	}{{1000, 100}, {10000, 2}} {
		for _, name := range []string{"spate", "spate-log"} {
			b.Run(fmt.Sprintf("streams=%d/rate=%g/server=%s", shape.streams, shape.rate, name), func(b *testing.B) {
				p := newTriple(b, name, "floor-go", rig.Load{Streams: shape.streams, Kind: stamp.Broadcast})
				p.loop(b, rig.Work{Rate: shape.rate, Size: eventSize, Duration: span})
				p.reportLatency(b)
			})
		}
	}
}

// BenchmarkFlatOut: how many deliveries a second does one processor make, with events always waiting? The floor joins
// what waits for a client into one write. The publisher keeps at most window events under way that not every stream has
// had, so nothing is gained by queueing without bound.
func BenchmarkFlatOut(b *testing.B) {
	for _, name := range []string{"spate", "spate-log"} {
		b.Run("streams=1000/server="+name, func(b *testing.B) {
			p := newTriple(b, name, "floor-batch-go", rig.Load{Streams: 1000, Kind: stamp.Broadcast})
			p.loop(b, rig.Work{Window: flatOutWindow, Size: eventSize, Duration: span})
			p.report(b, "deliveries/s", (*rig.Figures).Rate)
			p.report(b, "cpu-µs/delivery", (*rig.Figures).PerDelivery)
			b.ReportMetric(median(p.runs[0], func(f *rig.Figures) float64 { return float64(f.Usage.RSS) / (1 << 20) }), "MiB-resident")
			b.ReportMetric(median(p.runs[0], func(f *rig.Figures) float64 { return f.ReaderBusy }), "loader-busy")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// flatOutWindow is chosen for the floor: with fewer events under way its writes are small, with more they no longer fit
// the processor's cache on the way to the reader.
const flatOutWindow = 512
