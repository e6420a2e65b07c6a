//go:build linux

package bench_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
)

// logRound is how long each side appends before the other has its turn.
var logRound = envDuration("SPATE_BENCH_LOG_ROUND", 500*time.Millisecond)

// BenchmarkAppend: how much of what a bare Pebble loop writes does the hub get into its log, with that many publishers
// who each wait for their event, and with one who does not wait?
//
// The bare loop is one goroutine that commits batches of as many records as there are publishers (256 for PushAsync), of
// the same keys and sizes, with the same sync: so it is a group commit that is always full. Both sides take turns.
func BenchmarkAppend(b *testing.B) {
	for _, sync := range []bool{true, false} {
		for _, publishers := range []int{1, 64, 1024} {
			b.Run(fmt.Sprintf("sync=%v/publishers=%d", sync, publishers), func(b *testing.B) {
				appendTurns(b, sync, publishers, func(hub *engine.Hub) (uint64, []time.Duration) { return pushAll(b, hub, publishers) })
			})
		}
		b.Run(fmt.Sprintf("sync=%v/async", sync), func(b *testing.B) {
			appendTurns(b, sync, 256, func(hub *engine.Hub) (uint64, []time.Duration) { return pushAsync(b, hub) })
		})
	}
}

// appendTurns lets both sides append, one round each for every op.
func appendTurns(b *testing.B, sync bool, batch int, push func(*engine.Hub) (uint64, []time.Duration)) {
	l, err := persist.Open(b.TempDir(), persist.WithSync(sync))
	if err != nil {
		b.Fatal(err)
	}
	hub := engine.NewHub(quiet(), engine.WithLog(l))
	defer hub.Close()
	bare := newBareLog(b, sync, batch)
	var hubRates, bareRates, fsyncs, p99s []float64
	for b.Loop() {
		start := time.Now()
		n, waits := push(hub)
		hubRates = append(hubRates, float64(n)/time.Since(start).Seconds())
		if len(waits) > 0 {
			slices.Sort(waits)
			p99s = append(p99s, micros(waits[len(waits)*99/100]))
		}
		n, fsync := bare.run(b)
		bareRates = append(bareRates, float64(n)/fsync.total.Seconds())
		fsyncs = append(fsyncs, micros(fsync.median))
	}
	b.ReportMetric(middle(hubRates), "records/s")
	b.ReportMetric(middle(bareRates), "bare-records/s")
	b.ReportMetric(middle(hubRates)/middle(bareRates), "records/s/bare")
	b.ReportMetric(middle(fsyncs), "bare-commit-µs")
	if len(p99s) > 0 {
		b.ReportMetric(middle(p99s), "push-p99-µs")
	}
	b.ReportMetric(0, "ns/op")
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

// pushAsync pushes for a round, a thousand events ahead of the log, and waits for all.
func pushAsync(b *testing.B, hub *engine.Hub) (n uint64, _ []time.Duration) {
	ctx := context.Background()
	e := &wire.Event{Event: "message", Data: payload}
	ahead := make(chan *engine.Result, 1000)
	var lost atomic.Uint64
	var wg sync.WaitGroup
	wg.Go(func() {
		for r := range ahead {
			if _, err := r.Wait(ctx); err != nil {
				lost.Add(1)
			}
		}
	})
	for end := time.Now().Add(logRound); time.Now().Before(end); n++ {
		r, err := hub.PushAsync(nil, e)
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

// bareLog is a Pebble database that is written to as the hub's log is.
type bareLog struct {
	db    *pebble.DB
	batch int
	sync  *pebble.WriteOptions
	id    uint64
	value []byte
}

func newBareLog(b *testing.B, sync bool, batch int) *bareLog {
	db, err := pebble.Open(b.TempDir(), &pebble.Options{
		FormatMajorVersion: pebble.FormatNewest, MemTableSize: 16 << 20, MemTableStopWritesThreshold: 4,
		L0CompactionThreshold: 4, L0StopWritesThreshold: 1000, LBaseMaxBytes: 256 << 20, Logger: silent{},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	frame, err := wire.AppendEvent(make([]byte, 12), &wire.Event{ID: "1718000000000001", Event: "message", Data: payload})
	if err != nil {
		b.Fatal(err)
	}
	w := &bareLog{db: db, batch: batch, sync: pebble.NoSync, id: 1718000000000000, value: frame}
	if sync {
		w.sync = pebble.Sync
	}
	return w
}

// commits is how long the batches of a round took.
type commits struct{ total, median time.Duration }

// run commits batches for a round. A record is two keys: itself under its ID, and an entry of the index without a value.
func (w *bareLog) run(b *testing.B) (n uint64, c commits) {
	var took []time.Duration
	key, index := []byte("e12345678"), []byte("i123456\x00123")
	start := time.Now()
	for now := start; now.Sub(start) < logRound; {
		batch := w.db.NewBatch()
		for range w.batch {
			w.id++
			binary.BigEndian.PutUint64(key[1:], w.id)
			binary.BigEndian.PutUint32(index[len(index)-4:], uint32(w.id)&(1<<18-1)) // the last three bytes of the key
			copy(index[1:7], key[1:7])
			if err := batch.Set(key, w.value, nil); err != nil {
				b.Fatal(err)
			}
			if err := batch.Set(index, nil, nil); err != nil {
				b.Fatal(err)
			}
		}
		if err := batch.Commit(w.sync); err != nil {
			b.Fatal(err)
		}
		if err := batch.Close(); err != nil {
			b.Fatal(err)
		}
		then := time.Now()
		took = append(took, then.Sub(now))
		n, now = n+uint64(w.batch), then
	}
	slices.Sort(took)
	return n, commits{time.Since(start), took[len(took)/2]}
}

// silent drops what Pebble tells.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}
