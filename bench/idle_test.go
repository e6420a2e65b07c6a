//go:build linux

package bench_test

import (
	"fmt"
	"testing"

	"github.com/spatehub/spate/bench/internal/rig"
	"github.com/spatehub/spate/loadtest/stamp"
)

// idleStreams is near what one process may hold of descriptors.
const idleStreams = 15_000

// BenchmarkIdle: what does an idle connection hold? After a storm of new connections, a break of all of them, and a
// second storm, garbage is collected and given back; the baseline is a server that has served its first few streams.
func BenchmarkIdle(b *testing.B) {
	for _, server := range []string{"floor-go", "spate"} {
		b.Run(fmt.Sprintf("streams=%d/server=%s", idleStreams, server), func(b *testing.B) {
			var kib, goroutines []float64
			for b.Loop() {
				k, g := idle(b, server)
				kib, goroutines = append(kib, k), append(goroutines, g)
			}
			b.ReportMetric(middle(kib), "KiB/stream")
			b.ReportMetric(middle(goroutines), "goroutines/stream")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func idle(b *testing.B, server string) (kib, goroutines float64) {
	r, err := rig.New(server, rig.Load{Streams: idleStreams, Kind: stamp.Broadcast})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	before, err := r.Usage(true)
	if err != nil {
		b.Fatal(err)
	}
	for storm := range 2 {
		if _, err = r.Connect(stormInFlight); err != nil {
			b.Fatal(err)
		}
		if storm == 0 {
			if err = r.Drop(); err != nil {
				b.Fatal(err)
			}
		}
	}
	after, err := r.Usage(true)
	if err != nil {
		b.Fatal(err)
	}
	if open := after.FDs - before.FDs; open < idleStreams {
		b.Fatalf("%d streams are connected, but the server has only %d descriptors more", idleStreams, open)
	}
	// Every one of them is alive: an event reaches all.
	if f, err := r.Run(rig.Work{Rate: 10, Events: 1, Size: eventSize, Duration: span}); err != nil || f.Deliveries != idleStreams {
		b.Fatalf("an event reached %d of %d streams: %v %v", f.Deliveries, idleStreams, f.Faults(), err)
	}
	return float64(after.RSS-before.RSS) / 1024 / idleStreams, float64(after.Goroutines-before.Goroutines) / idleStreams
}
