//go:build linux

package bench_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/spatehub/spate/bench/internal/rig"
	"github.com/spatehub/spate/loadtest/stamp"
)

// stormStreams come at once in a storm, stormInFlight of them being under way at a time.
const (
	stormStreams  = 10_000
	stormInFlight = 256
)

// BenchmarkStorm: what does it cost when 10,000 clients connect at once, as new ones, or after a break of some events that
// they are owed? The floor answers the request by hand, without net/http.
func BenchmarkStorm(b *testing.B) {
	for _, c := range []struct {
		server string
		missed uint64
	}{{"floor-go", 0}, {"spate", 0}, {"spate-log", 0}, {"spate-log", 10}, {"spate-log", 100}} {
		b.Run(fmt.Sprintf("streams=%d/missed=%d/server=%s", stormStreams, c.missed, c.server), func(b *testing.B) {
			storm(b, c.server, c.missed)
		})
	}
}

func storm(b *testing.B, server string, missed uint64) {
	r, err := rig.New(server, rig.Load{Streams: stormStreams, Kind: stamp.Broadcast})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	m, err := r.Mark()
	if err == nil && missed > 0 {
		_, err = r.Run(rig.Work{Rate: 1000, Events: missed, Size: eventSize, Duration: time.Minute})
	}
	if err != nil {
		b.Fatal(err)
	}
	var cpu, p99, elapsed []float64
	for b.Loop() {
		s, err := r.Resume(stormInFlight, m)
		if err != nil {
			b.Fatal(err)
		}
		if faults := s.Figures.Faults(); faults != "" {
			b.Error(faults)
		}
		cpu = append(cpu, micros(s.CPU)/stormStreams)
		p99 = append(p99, micros(s.Latency.P99))
		elapsed = append(elapsed, s.Connected.Elapsed.Seconds())
		if err := r.Drop(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(middle(cpu), "cpu-µs/connect")
	b.ReportMetric(middle(p99), "head-p99-µs")
	b.ReportMetric(stormStreams/middle(elapsed), "connects/s")
	b.ReportMetric(0, "ns/op")
}

// middle is the median.
func middle(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
