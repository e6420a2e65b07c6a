//go:build linux

package bench_test

import (
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/spatehub/spate/bench/internal/proc"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// discard is a sink that takes everything at once: what is left is the hub.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Close(error)                 {}

func quiet() engine.HubOption { return engine.WithLogger(slog.New(slog.DiscardHandler)) }

// BenchmarkPush: what do 0 to a million connections cost the hub alone, one push that reaches all of them, and each of
// many in a row? One op is one event at every connection.
func BenchmarkPush(b *testing.B) {
	for _, n := range []int{0, 1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("subscribers=%d", n), func(b *testing.B) {
			hub, size := crowd(b, n)
			if n > 0 { // shards without connections are not woken: there is nobody to wait for
				b.Run("way=single", func(b *testing.B) { pushSingle(b, hub, n, size) })
			}
			b.Run("way=stream", func(b *testing.B) { pushStream(b, hub, n) })
		})
	}
}

// crowd returns a hub with n users online and the bytes that each takes.
func crowd(b *testing.B, n int) (hub *engine.Hub, size float64) {
	b.Helper()
	before := liveBytes()
	hub = engine.NewHub(quiet(), engine.WithHeartbeat(-1))
	b.Cleanup(hub.Close)
	for i := range n {
		if _, err := hub.Subscribe(engine.Subscription{UID: fmt.Sprintf("u%d", i)}, discard{}); err != nil {
			b.Fatal(err)
		}
	}
	await(b, func() bool { return hub.OnlineClientsNum() == n })
	if n > 0 {
		size = float64(liveBytes()-before) / float64(n)
	}
	return hub, size
}

// liveBytes is what the process holds: objects that are reachable, and stacks.
func liveBytes() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

var payload = strings.Repeat("x", eventSize)

// pushSingle pushes one event and waits until every connection has it.
func pushSingle(b *testing.B, hub *engine.Hub, n int, size float64) {
	e := &wire.Event{Event: "message", Data: payload}
	timer := newTimer(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := hub.Push(nil, e); err != nil {
			b.Fatal(err)
		}
		for id := hub.LastID(); hub.Stats().LastEventID < id; {
			if n <= 1000 { // sooner done than the timer ticks; the shards are on the other processor
				runtime.Gosched()
			} else if _, err := timer.Wait(); err != nil {
				b.Fatal(err)
			}
		}
	}
	reportDeliveries(b, n)
	b.ReportMetric(b.Elapsed().Seconds()*1e3/float64(b.N), "ms/broadcast")
	b.ReportMetric(size, "B/subscriber")
}

// pushStream pushes without waiting, so that the shards always have work.
func pushStream(b *testing.B, hub *engine.Hub, n int) {
	e := &wire.Event{Event: "message", Data: payload}
	b.ReportAllocs()
	for b.Loop() {
		if err := hub.Push(nil, e); err != nil {
			b.Fatal(err)
		}
	}
	id := hub.LastID()
	await(b, func() bool { return hub.Stats().LastEventID >= id })
	reportDeliveries(b, n)
}

func reportDeliveries(b *testing.B, n int) {
	if n > 0 {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/delivery")
	}
}

// lookEvery is how long a benchmark that waits for the hub sleeps between two looks: short beside what is measured, and
// long beside the cost of a look.
const lookEvery = 50 * time.Microsecond

func newTimer(b *testing.B) *proc.Timer {
	b.Helper()
	t, err := proc.NewTimer()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = t.Close() })
	if err := t.Start(lookEvery); err != nil {
		b.Fatal(err)
	}
	return t
}

// await waits for a condition that the hub is about to meet.
func await(b *testing.B, met func() bool) {
	b.Helper()
	timer := newTimer(b)
	for end := time.Now().Add(time.Minute); !met(); {
		if _, err := timer.Wait(); err != nil || time.Now().After(end) {
			b.Fatalf("the hub does not get there: %v", err)
		}
	}
}
