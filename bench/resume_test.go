//go:build linux

package bench_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spatehub/spate/bench/internal/plan"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/pebblelog"
	"github.com/spatehub/spate/wire"
)

// logEvents is how many events the log holds that resumptions read.
var logEvents = envInt("SPATETEST_BENCH_LOG_EVENTS", 300_000)

// A sparse topic has sparseEvents of the log's events, evenly spread; the others belong to a dense one.
const (
	sparseEvents = 1000
	sparseTopic  = "sparse"
	denseTopic   = "dense"
	firstEvent   = 1_718_000_000_000_000
)

// sparseStep is how far apart the sparse topic's events are.
func sparseStep() int { return max(1, logEvents/sparseEvents) }

// owed is how many events of a topic come after an ID.
func owed(after uint64, topic string) uint64 {
	from, to := int(after-(firstEvent-1)), logEvents // the first event that is owed, and the number of all
	sparse := (to+sparseStep()-1)/sparseStep() - (from+sparseStep()-1)/sparseStep()
	if topic == sparseTopic {
		return uint64(sparse)
	}
	return uint64(to - from - sparse)
}

// firstByte is a sink that notes when it got its first byte.
type firstByte struct {
	begun atomic.Int64 // time of the first byte, nanoseconds since start; the shard stores it, the benchmark loads it
	start time.Time
}

func (c *firstByte) Write(p []byte) (int, error) {
	if c.begun.Load() == 0 {
		c.begun.Store(int64(time.Since(c.start)))
	}
	return len(p), nil
}

func (*firstByte) Close(error) {}

// BenchmarkResume: how many events a second does one processor read from the log and hand to 1,000 clients that resume
// the same 2,000 events, or ranges that all begin elsewhere, and how long does a client wait for the 1,000 events of a
// sparse topic out of all? The sinks are in memory: sockets come on top.
func BenchmarkResume(b *testing.B) {
	dir := logDir(b)
	procs := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(procs)
	l, err := pebblelog.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	hub := engine.NewHub(quiet(), engine.WithLog(l), engine.WithEnableResendEvents())
	defer hub.Close()
	const clients, events = 1000, 2000
	last := firstEvent + uint64(logEvents) - 1
	b.Run(fmt.Sprintf("clients=%d/ranges=same", clients), func(b *testing.B) {
		resume(b, hub, clients, func(int) (uint64, string) { return last - events, denseTopic })
	})
	b.Run(fmt.Sprintf("clients=%d/ranges=differ", clients), func(b *testing.B) {
		// From 1,000 to 3,000 events back, 2,000 on average.
		resume(b, hub, clients, func(i int) (uint64, string) { return last - events/2 - uint64(i)*events/clients, denseTopic })
	})
	b.Run(fmt.Sprintf("sparse=%d/log=%d", sparseEvents, logEvents), func(b *testing.B) {
		resume(b, hub, 1, func(int) (uint64, string) { return firstEvent, sparseTopic })
	})
}

// BenchmarkResumeCold: how long does a client wait for the 1,000 events of a sparse topic out of all, where the log has just
// been opened and has nothing in memory? Each op opens it anew; what the system keeps of its files stays.
func BenchmarkResumeCold(b *testing.B) {
	dir := logDir(b)
	b.Run(fmt.Sprintf("sparse=%d/log=%d", sparseEvents, logEvents), func(b *testing.B) {
		var firsts, alls []float64
		for b.Loop() {
			l, err := pebblelog.Open(dir)
			if err != nil {
				b.Fatal(err)
			}
			hub := engine.NewHub(quiet(), engine.WithLog(l), engine.WithEnableResendEvents())
			sink := &firstByte{start: time.Now()}
			sub := engine.Subscription{LastEventID: wire.FormatID(firstEvent), Topics: []string{sparseTopic}}
			if _, err := hub.Subscribe(sub, sink); err != nil {
				b.Fatal(err)
			}
			total := owed(firstEvent, sparseTopic)
			await(b, func() bool { return hub.Stats().Resent >= total })
			alls = append(alls, time.Since(sink.start).Seconds()*1e3)
			firsts = append(firsts, float64(sink.begun.Load())/1e6)
			hub.Close()
		}
		b.ReportMetric(middle(firsts), "first-byte-ms")
		b.ReportMetric(middle(alls), "all-ms")
		b.ReportMetric(alls[len(alls)-1], "worst-ms") // in rising order by now
		b.ReportMetric(0, "ns/op")
	})
}

// logDir returns the folder of a log of logEvents events: one that the environment names, made once, or a new one.
func logDir(b *testing.B) string {
	b.Helper()
	kept := os.Getenv("SPATETEST_BENCH_LOG_DIR")
	if kept == "" {
		dir := b.TempDir()
		fillLog(b, dir)
		return dir
	}
	dir := filepath.Join(kept, strconv.Itoa(logEvents))
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	making := dir + ".part"
	if err := os.RemoveAll(making); err != nil {
		b.Fatal(err)
	}
	fillLog(b, making)
	if err := os.Rename(making, dir); err != nil {
		b.Fatal(err)
	}
	return dir
}

// fillLog makes a log of logEvents events.
func fillLog(b *testing.B, dir string) {
	b.Helper()
	l, err := pebblelog.Open(dir, pebblelog.WithSync(false))
	if err != nil {
		b.Fatal(err)
	}
	if err := l.BeginRun(firstEvent); err != nil { // as a hub does: which IDs it issued is then known in memory
		b.Fatal(err)
	}
	const batch = 1000
	texts := plan.Quotes(eventSize) // what compresses like nothing else is cut into tables like nothing else
	for from := 0; from < logEvents; from += batch {
		var recs []persist.Record
		for i := from; i < min(from+batch, logEvents); i++ {
			r := persist.Record{ID: firstEvent + uint64(i), Topic: denseTopic, Time: 1}
			if i%sparseStep() == 0 {
				r.Topic = sparseTopic
			}
			r.Frame, err = wire.AppendEvent(nil, &wire.Event{ID: wire.FormatID(r.ID), Event: "message", Data: texts[(i*7919+i/64)%len(texts)]})
			if err != nil {
				b.Fatal(err)
			}
			recs = append(recs, r)
		}
		if err := l.Append(context.Background(), recs); err != nil {
			b.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}

// resume lets clients resume, each from where from says, until all have everything.
func resume(b *testing.B, hub *engine.Hub, clients int, from func(i int) (after uint64, topic string)) {
	var firsts, alls, rates []float64
	for b.Loop() {
		before, start := hub.Stats(), time.Now()
		var total uint64
		sinks, subs := make([]firstByte, clients), make([]engine.Subscriber, clients)
		for i := range sinks {
			after, topic := from(i)
			sinks[i].start = start
			total += owed(after, topic)
			var err error
			subs[i], err = hub.Subscribe(engine.Subscription{LastEventID: wire.FormatID(after), Topics: []string{topic}}, &sinks[i])
			if err != nil {
				b.Fatal(err)
			}
		}
		await(b, func() bool { return hub.Stats().Resent-before.Resent >= total })
		took := time.Since(start)
		n := hub.Stats()
		if n.Resent-before.Resent != total {
			b.Fatalf("%d events were resent, %d are owed", n.Resent-before.Resent, total)
		}
		if n.Gaps != before.Gaps {
			b.Fatalf("%d clients were told of a gap", n.Gaps-before.Gaps)
		}
		var first int64
		for i := range sinks {
			first = max(first, sinks[i].begun.Load())
		}
		firsts = append(firsts, float64(first)/1e6)
		alls = append(alls, took.Seconds()*1e3)
		rates = append(rates, float64(total)/took.Seconds())
		for _, s := range subs {
			s.Hangup(nil)
		}
		await(b, func() bool { return hub.OnlineClientsNum() == 0 })
	}
	// The first op reads from the log; later ones may find its pages in memory, as clients do that come back together.
	b.ReportMetric(firsts[0], "cold-first-byte-ms")
	b.ReportMetric(alls[0], "cold-all-ms")
	b.ReportMetric(rates[0], "cold-events/s")
	b.ReportMetric(middle(firsts), "first-byte-ms")
	b.ReportMetric(middle(alls), "all-ms")
	b.ReportMetric(middle(rates), "events/s")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkReopen: how long until a hub with a log of that size is there again?
func BenchmarkReopen(b *testing.B) {
	dir := logDir(b)
	b.Run("log="+strconv.Itoa(logEvents), func(b *testing.B) {
		for b.Loop() {
			l, err := pebblelog.Open(dir)
			if err != nil {
				b.Fatal(err)
			}
			hub := engine.NewHub(quiet(), engine.WithLog(l))
			if hub.LastID() < firstEvent {
				b.Fatalf("the hub continues at %d", hub.LastID())
			}
			b.StopTimer()
			hub.Close()
			b.StartTimer()
		}
	})
}
