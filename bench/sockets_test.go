//go:build linux

package bench_test

import (
	"testing"

	"github.com/spatehub/spate/bench/internal/rig"
	"github.com/spatehub/spate/bench/internal/server"
	"github.com/spatehub/spate/loadtest/stamp"
)

// BenchmarkUnicast: how fast does a private event reach its one user among 10,000, at 10,000 events a second?
func BenchmarkUnicast(b *testing.B) {
	for _, name := range []string{"spate", "spate-log"} {
		b.Run("streams=10000/rate=10000/server="+name, func(b *testing.B) {
			load, work := rig.Load{Streams: 10_000, Kind: stamp.User}, rig.Work{Rate: 10_000, Size: eventSize, Duration: span}
			p := newPair(b, name, "floor-go", load)
			p.loop(b, work)
			p.reportLatency(b)
			p.reportNet(b, load, work)
		})
	}
}

// BenchmarkTopics: what does a delivery cost where 1,000 topics have ten followers each, at 2,000 events a second? The
// floor keeps a list of descriptors a topic.
func BenchmarkTopics(b *testing.B) {
	for _, name := range []string{"spate", "spate-log"} {
		b.Run("topics=1000/streams=10000/rate=2000/server="+name, func(b *testing.B) {
			load, work := rig.Load{Streams: 10_000, Kind: stamp.Topic, Targets: 1000}, rig.Work{Rate: 2000, Size: eventSize, Duration: span}
			p := newPair(b, name, "floor-go", load)
			p.loop(b, work)
			p.reportLatency(b)
			p.reportNet(b, load, work)
		})
	}
}

// reportNet measures what the schedule costs by itself, and writes the ratio to the floor without it: waking for each of
// many small events costs more than sending one, and both sides pay it. What is left is a difference of large numbers,
// so both ratios are to be read together.
func (p *pair) reportNet(b *testing.B, load rig.Load, work rig.Work) {
	b.Helper()
	r, err := rig.New(server.Schedule, rig.Load{Kind: load.Kind, Targets: max(load.Targets, load.Streams)})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	var runs []rig.Figures
	for range len(p.runs[0]) {
		f, err := r.Run(work)
		if err != nil {
			b.Fatal(err)
		}
		runs = append(runs, f)
	}
	perEvent := func(f *rig.Figures) float64 { return micros(f.ServerCPU) / float64(f.Events) }
	schedule := median(runs, perEvent)
	server, floor := p.medians(perEvent)
	b.ReportMetric(schedule, "schedule-cpu-µs/event")
	b.ReportMetric((server-schedule)/(floor-schedule), "net-cpu/floor")
}
