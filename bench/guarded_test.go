//go:build linux

package bench_test

import (
	"testing"

	"github.com/spatehub/spate/bench/internal/rig"
	"github.com/spatehub/spate/loadtest/stamp"
)

// BenchmarkGuarded: what do authorization, limits and metrics cost a delivery? The floor here is spate without them.
func BenchmarkGuarded(b *testing.B) {
	load := rig.Load{Streams: 1000, Kind: stamp.Broadcast}
	b.Run("streams=1000/rate=100", func(b *testing.B) {
		p := newPair(b, "spate-guarded", "spate", load)
		p.loop(b, rig.Work{Rate: 100, Size: eventSize, Duration: span})
		p.reportLatency(b)
	})
	b.Run("streams=1000/flat", func(b *testing.B) {
		p := newPair(b, "spate-guarded", "spate", load)
		p.loop(b, rig.Work{Window: flatOutWindow, Size: eventSize, Duration: span})
		p.report(b, "deliveries/s", (*rig.Figures).Rate)
		p.report(b, "cpu-µs/delivery", (*rig.Figures).PerDelivery)
		b.ReportMetric(0, "ns/op")
	})
}

// BenchmarkGuardedConnect: what does it cost when 10,000 clients connect at once, each with a JWT of its own (HS256)?
// The floor is spate without authorization and limits.
func BenchmarkGuardedConnect(b *testing.B) {
	var rigs []*rig.Rig
	for _, server := range []string{"spate-guarded", "spate"} {
		r, err := rig.New(server, rig.Load{Streams: stormStreams, Kind: stamp.Broadcast})
		if err != nil {
			b.Fatal(err)
		}
		defer r.Close()
		rigs = append(rigs, r)
	}
	var cpu, rate [2][]float64
	for b.Loop() {
		for i, r := range rigs {
			c, err := r.Connect(stormInFlight)
			if err != nil {
				b.Fatal(err)
			}
			cpu[i] = append(cpu[i], micros(c.CPU)/stormStreams)
			rate[i] = append(rate[i], stormStreams/c.Elapsed.Seconds())
			if err := r.Drop(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(middle(cpu[0]), "cpu-µs/connect")
	b.ReportMetric(middle(cpu[1]), "floor-cpu-µs/connect")
	b.ReportMetric(1e6/middle(cpu[0]), "connects/cpu-s")
	b.ReportMetric(middle(rate[0]), "connects/s")
	b.ReportMetric(middle(rate[1]), "floor-connects/s")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkGuardedIdle: what does an idle connection hold more, by its grant, its session and its limits?
func BenchmarkGuardedIdle(b *testing.B) {
	servers := []string{"spate-guarded", "spate"}
	kib := make([][]float64, len(servers))
	for b.Loop() {
		for i, server := range servers {
			k, goroutines := idle(b, server)
			if kib[i] = append(kib[i], k); goroutines > 0.01 {
				b.Errorf("%s: %g goroutines a stream", server, goroutines)
			}
		}
	}
	b.ReportMetric(middle(kib[0]), "KiB/stream")
	b.ReportMetric(middle(kib[1]), "floor-KiB/stream")
	b.ReportMetric(0, "ns/op")
}
