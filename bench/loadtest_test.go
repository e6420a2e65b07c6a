//go:build linux

package bench_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spatehub/spate/bench/internal/proc"
	"github.com/spatehub/spate/bench/internal/rig"
	"github.com/spatehub/spate/loadtest/load"
	"github.com/spatehub/spate/loadtest/stamp"
)

// BenchmarkLoadtest: what does a received event cost loadtest, which checks every byte and keeps a book of every stream,
// beside the bare reader of these benchmarks? Both have the same server and the same processor, in turns; the processor
// time of both is taken from before the first event until every stream has the last one. How late loadtest's own timers
// were meanwhile is reported beside it. At the lower rate neither is busy all the time; at the higher one either may be,
// on a slow machine, and the ratio says little then.
func BenchmarkLoadtest(b *testing.B) {
	for _, rate := range []float64{25, 100} {
		for _, server := range []string{"spate", "floor-go"} {
			besideBare(b, rate, server)
		}
	}
}

func besideBare(b *testing.B, rate float64, server string) {
	const streams = 1000
	b.Run(fmt.Sprintf("streams=%d/rate=%.0f/server=%s", streams, rate, server), func(b *testing.B) {
		bare := newRig(b, server, rig.Load{Streams: streams, Kind: stamp.Broadcast})
		other, err := rig.New(server, rig.Load{Kind: stamp.Broadcast, Burst: 256})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(other.Close)
		w := rig.Work{Rate: rate, Size: eventSize, Duration: span}
		var bares, costs, ratios, lags []float64
		if _, err := bare.Run(rig.Work{Rate: rate, Size: eventSize, Duration: span / 4}); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			f, err := bare.Run(w)
			if err != nil {
				b.Fatal(err)
			}
			if faults := f.Faults(); faults != "" {
				b.Error(faults)
			}
			t := readByLoadtest(b, other, streams, w)
			x := micros(f.ReaderCPU) / float64(f.Deliveries)
			bares, costs = append(bares, x), append(costs, t.cost)
			ratios, lags = append(ratios, t.cost/x), append(lags, t.lag)
		}
		b.ReportMetric(middle(costs), "cpu-µs/event")
		b.ReportMetric(middle(bares), "bare-cpu-µs/event")
		b.ReportMetric(middle(ratios), "cpu/bare")
		b.ReportMetric(middle(lags), "own-p99-µs")
		b.ReportMetric(0, "ns/op")
		b.Logf("cpu/bare of each round: %.2f", ratios)
	})
}

// read is what loadtest found of itself.
type read struct {
	cost float64 // microseconds of processor time for an event
	lag  float64 // of its timers at p99, microseconds
}

// readByLoadtest has loadtest hold the streams, in this process and on the processor of the load, while the server
// publishes w.
func readByLoadtest(b *testing.B, r *rig.Rig, streams int64, w rig.Work) read {
	b.Helper()
	info, err := r.Info()
	if err != nil {
		b.Fatal(err)
	}
	restore, err := rig.BindLoad()
	if err != nil {
		b.Fatal(err)
	}
	defer restore()
	const run = 0x10ad
	c := load.Default()
	c.Adapter, c.Publish, c.Resume = "none", false, false
	c.URL = fmt.Sprintf("http://127.0.0.1:%d%s", info.Port, strings.ReplaceAll(info.Path, "{n}", "{{.N}}"))
	c.Mode, c.Streams, c.Connections, c.RunID = load.ModeRaw, int(streams), 1, strconv.FormatUint(run, 16)
	c.Settle, c.Drain, c.Duration = 200*time.Millisecond, time.Second, span+time.Minute
	ctx, cancel := context.WithTimeout(b.Context(), c.Duration)
	defer cancel()
	var open, got atomic.Int64
	var res *load.Result
	ended := make(chan error, 1)
	changed := make(chan struct{}, 1)
	go func() {
		var err error
		res, err = load.RunWatched(ctx, c, func(n, deliveries int64) {
			open.Store(n)
			got.Store(deliveries)
			select {
			case changed <- struct{}{}:
			default:
			}
		})
		ended <- err
	}()
	until := func(ok func() bool) {
		for !ok() {
			select {
			case <-changed:
			case err := <-ended:
				b.Fatalf("loadtest ended early: %v", err)
			}
		}
	}
	until(func() bool { return open.Load() == streams })
	before := proc.CPU()
	rep, err := r.Publish(run, w)
	if err != nil {
		b.Fatal(err)
	}
	owed := streams * int64(rep.Total-rep.First)
	until(func() bool { return got.Load() >= owed })
	used := time.Duration(proc.CPU() - before)
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	if res.Deliveries.Count != owed || res.Checks.Corrupt+res.Checks.Duplicates+res.Checks.Disorder > 0 {
		b.Errorf("%d of %d deliveries: %+v", res.Deliveries.Count, owed, res.Checks)
	}
	return read{micros(used) / float64(owed), float64(res.Tester.Lag.P99) / 1e3}
}
