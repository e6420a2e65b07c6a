//go:build linux

package bench_test

import (
	"fmt"
	"testing"

	"github.com/spatehub/spate/bench/internal/rig"
	benchserver "github.com/spatehub/spate/bench/internal/server"
	"github.com/spatehub/spate/loadtest/stamp"
	"github.com/spatehub/spate/serve/stream"
)

// BenchmarkIOUring: what does it save to hand deliveries to the kernel many at a time? The floor is spate without it, and
// the same bytes are those of the bare loop's twin.
func BenchmarkIOUring(b *testing.B) {
	for _, shape := range []struct {
		streams int
		kind    stamp.Kind
		rate    float64
	}{
		{1000, stamp.Broadcast, 100}, {10000, stamp.Broadcast, 2}, {1000, stamp.User, 1000}, {1000, stamp.User, 10000},
	} {
		b.Run(fmt.Sprintf("streams=%d/kind=%c/rate=%g", shape.streams, shape.kind, shape.rate), func(b *testing.B) {
			p := withURing(b, "floor-go", rig.Load{Streams: shape.streams, Kind: shape.kind})
			p.loop(b, rig.Work{Rate: shape.rate, Size: eventSize, Duration: span})
			p.reportLatency(b)
		})
	}
	b.Run("streams=1000/flatout", func(b *testing.B) {
		p := withURing(b, "floor-batch-go", rig.Load{Streams: 1000, Kind: stamp.Broadcast})
		p.loop(b, rig.Work{Window: flatOutWindow, Size: eventSize, Duration: span})
		p.report(b, "deliveries/s", (*rig.Figures).Rate)
		p.report(b, "cpu-µs/delivery", (*rig.Figures).PerDelivery)
		b.ReportMetric(0, "ns/op")
	})
}

// withURing opens spate with io_uring and without, and the bare loop that sends the same bytes.
func withURing(b *testing.B, floor string, load rig.Load) *pair {
	if w, err := stream.IOUring(); err != nil {
		b.Skip(err)
	} else {
		w.Close()
	}
	return pairOf(newRig(b, "spate-uring", load), newRig(b, "spate", load), newRig(b, floor+benchserver.SameBytes, load))
}
