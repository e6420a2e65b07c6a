//go:build linux

package bench_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist/pebblelog"
	"github.com/spatehub/spate/wire"
)

// logRound is how long each side appends before the other has its turn.
var logRound = envDuration("SPATETEST_BENCH_LOG_ROUND", 500*time.Millisecond)

// BenchmarkAppend: how much of what a bare Pebble loop writes does the hub get into its log, with that many publishers
// who each wait for their event, with one who does not wait, and with one who pushes that many events at a time? And
// what does a record cost in processor time, of what is done later in the background too?
//
// A bare loop is one goroutine that commits batches of as many records as there are publishers or events in a push (256
// for PushAsync), with the same sync: so it is a group commit that is always full. "bare" writes the very keys that the log writes, into a
// database with the log's options. "plain" is what one would write at first: Pebble as it comes, and an index key for
// each record. All take turns, and each begins when the others' flushes and compactions have ended.
func BenchmarkAppend(b *testing.B) {
	for _, sync := range []bool{true, false} {
		for _, publishers := range []int{1, 64, 1024} {
			b.Run(fmt.Sprintf("sync=%v/publishers=%d", sync, publishers), func(b *testing.B) {
				appendTurns(b, sync, publishers, func(hub *engine.Hub) (uint64, []time.Duration) { return pushAll(b, hub, publishers) })
			})
		}
		b.Run(fmt.Sprintf("sync=%v/async", sync), func(b *testing.B) {
			appendTurns(b, sync, 256, func(hub *engine.Hub) (uint64, []time.Duration) { return pushAsync(b, hub, 1) })
		})
		for _, batch := range []int{64, 1024} {
			b.Run(fmt.Sprintf("sync=%v/async/batch=%d", sync, batch), func(b *testing.B) {
				appendTurns(b, sync, batch, func(hub *engine.Hub) (uint64, []time.Duration) { return pushAsync(b, hub, batch) })
			})
			b.Run(fmt.Sprintf("sync=%v/batch=%d", sync, batch), func(b *testing.B) {
				appendTurns(b, sync, batch, func(hub *engine.Hub) (uint64, []time.Duration) { return pushBatches(b, hub, batch) })
			})
		}
	}
}

// appendTurns lets all append, one round each for every op.
func appendTurns(b *testing.B, sync bool, batch int, push func(*engine.Hub) (uint64, []time.Duration)) {
	l, err := pebblelog.Open(b.TempDir(), pebblelog.WithSync(sync))
	if err != nil {
		b.Fatal(err)
	}
	hub := engine.NewHub(quiet(), engine.WithLog(l))
	defer hub.Close()
	bare, plain := newBareLog(b, sync, batch, true), newBareLog(b, sync, batch, false)
	var hubRates, bareRates, plainRates, commits, p99s, cpu, bareCPU []float64
	for b.Loop() {
		awaitIdle(b)
		used, start := processTime(b), time.Now()
		n, waits := push(hub)
		hubRates = append(hubRates, float64(n)/time.Since(start).Seconds())
		if len(waits) > 0 {
			slices.Sort(waits)
			p99s = append(p99s, micros(waits[len(waits)*99/100]))
		}
		awaitIdle(b)
		cpu = append(cpu, micros(processTime(b)-used)/float64(n))
		used = processTime(b)
		rate, n, commit := bare.run(b)
		bareRates, commits = append(bareRates, rate), append(commits, micros(commit))
		awaitIdle(b)
		bareCPU = append(bareCPU, micros(processTime(b)-used)/float64(n))
		rate, _, _ = plain.run(b)
		plainRates = append(plainRates, rate)
	}
	b.ReportMetric(middle(hubRates), "records/s")
	b.ReportMetric(middle(bareRates), "bare-records/s")
	b.ReportMetric(middle(hubRates)/middle(bareRates), "records/s/bare")
	b.ReportMetric(middle(hubRates)/middle(plainRates), "records/s/plain")
	b.ReportMetric(middle(commits), "bare-commit-µs")
	b.ReportMetric(middle(cpu), "cpu-µs/record")
	b.ReportMetric(middle(cpu)/middle(bareCPU), "cpu/bare")
	if len(p99s) > 0 {
		b.ReportMetric(middle(p99s), "push-p99-µs")
	}
	b.ReportMetric(0, "ns/op")
}

// awaitIdle returns when this process has hardly used a processor for a while: what Pebble does in the background for one
// log must not slow down the turn of another.
func awaitIdle(b *testing.B) {
	const look, busy = 20 * time.Millisecond, time.Millisecond
	looks := time.NewTicker(look)
	defer looks.Stop()
	for quietLooks, last := 0, processTime(b); quietLooks < 3; {
		<-looks.C
		now := processTime(b)
		if quietLooks++; now-last > busy {
			quietLooks = 0
		}
		last = now
	}
}

func processTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// pushAll lets publishers push for a round, each waiting for its event, and returns how many there were and how long
// each wait was.
func pushAll(b *testing.B, hub *engine.Hub, publishers int) (uint64, []time.Duration) {
	var wg sync.WaitGroup
	waits := make([][]time.Duration, publishers)
	end := time.Now().Add(logRound)
	for i := range publishers {
		wg.Go(func() {
			e := &wire.Event{Event: "message", Data: payload}
			for now := time.Now(); now.Before(end); {
				if err := hub.Push(nil, e); err != nil {
					b.Error(err)
					return
				}
				then := time.Now()
				waits[i] = append(waits[i], then.Sub(now))
				now = then
			}
		})
	}
	wg.Wait()
	all := slices.Concat(waits...)
	return uint64(len(all)), all
}

// eventsAhead is how many events pushAsync may be ahead of the log.
const eventsAhead = 1024

// pushAsync pushes for a round, so many events at a time and some ahead of the log, and waits for all.
func pushAsync(b *testing.B, hub *engine.Hub, size int) (n uint64, _ []time.Duration) {
	ctx := context.Background()
	events := slices.Repeat([]*wire.Event{{Event: "message", Data: payload}}, size)
	ahead := make(chan *engine.Result, eventsAhead/size)
	var lost atomic.Uint64
	var wg sync.WaitGroup
	wg.Go(func() {
		for r := range ahead {
			if _, err := r.Wait(ctx); err != nil {
				lost.Add(uint64(size))
			}
		}
	})
	for end := time.Now().Add(logRound); time.Now().Before(end); n += uint64(size) {
		r, err := hub.PushAsync(nil, events...)
		if err != nil {
			b.Error(err)
			break
		}
		ahead <- r
	}
	close(ahead)
	wg.Wait()
	if lost.Load() > 0 {
		b.Errorf("the log did not take %d of %d events", lost.Load(), n)
	}
	return n, nil
}

// pushBatches pushes for a round, so many events at a time, and waits for each batch.
func pushBatches(b *testing.B, hub *engine.Hub, size int) (n uint64, waits []time.Duration) {
	events := slices.Repeat([]*wire.Event{{Event: "message", Data: payload}}, size)
	for now, end := time.Now(), time.Now().Add(logRound); now.Before(end); n += uint64(size) {
		if err := hub.Push(nil, events...); err != nil {
			b.Error(err)
			break
		}
		then := time.Now()
		waits = append(waits, then.Sub(now))
		now = then
	}
	return n, waits
}
