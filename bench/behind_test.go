//go:build linux

package bench_test

import (
	"fmt"
	"testing"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist/pebblelog"
	"github.com/spatehub/spate/wire"
)

// behindEvents is how many events stalled clients fall behind by.
var behindEvents = envInt("SPATETEST_BENCH_BEHIND", 500_000)

// full is a sink that takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, nil }
func (full) Close(error)               {}

// BenchmarkBehind: what does the hub hold while 100 clients stall, and how much more after many more events? One op
// pushes behindEvents events beside them, with one client that reads.
func BenchmarkBehind(b *testing.B) {
	b.Run(fmt.Sprintf("stalled=100/events=%d", behindEvents), func(b *testing.B) {
		l, err := pebblelog.Open(b.TempDir(), pebblelog.WithSync(false))
		if err != nil {
			b.Fatal(err)
		}
		hub := engine.NewHub(quiet(), engine.WithLog(l), engine.WithStallTimeout(-1))
		defer hub.Close()
		for i := range 101 {
			var sink engine.Sink = full{}
			if i == 0 {
				sink = discard{}
			}
			if _, err := hub.Subscribe(engine.Subscription{}, sink); err != nil {
				b.Fatal(err)
			}
		}
		// Past what a ring and a queue hold: from here on nothing should grow.
		pushMany(b, hub, 20_000)
		before := liveBytes()
		for b.Loop() {
			pushMany(b, hub, behindEvents)
		}
		if n := hub.Stats(); n.Stalled != 100 {
			b.Errorf("%d clients are stalled, want 100", n.Stalled)
		}
		after := liveBytes()
		b.ReportMetric(float64(before)/(1<<20), "MiB-before")
		b.ReportMetric(float64(after)/(1<<20), "MiB-after")
		b.ReportMetric(float64(after)/float64(before), "after/before")
	})
}

// pushMany pushes and waits until those who read have everything.
func pushMany(b *testing.B, hub *engine.Hub, n int) {
	b.Helper()
	e := &wire.Event{Event: "message", Data: payload}
	for range n {
		if _, err := hub.PushAsync(nil, e); err != nil {
			b.Fatal(err)
		}
	}
	id := hub.LastID()
	await(b, func() bool { return hub.Stats().LastEventID >= id })
}
