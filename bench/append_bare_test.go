//go:build linux

package bench_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/spatehub/spate/wire"
)

// bareLog is a Pebble database that records are written to without a hub.
type bareLog struct {
	db    *pebble.DB
	batch int
	lists bool // an index key for each run of 128 records, as the log has it
	sync  *pebble.WriteOptions
	id    uint64
	value []byte
}

// newBareLog opens one: like the log, or as Pebble comes.
func newBareLog(b *testing.B, sync bool, batch int, likeTheLog bool) *bareLog {
	opts := &pebble.Options{FormatMajorVersion: pebble.FormatNewest, Logger: silent{}}
	if likeTheLog {
		setLikeLog(opts)
	}
	db, err := pebble.Open(b.TempDir(), opts)
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
	w := &bareLog{db: db, batch: batch, lists: likeTheLog, sync: pebble.NoSync, id: 1718000000000000, value: frame}
	if sync {
		w.sync = pebble.Sync
	}
	return w
}

// setLikeLog sets what persist sets for speed.
func setLikeLog(opts *pebble.Options) {
	opts.MemTableSize, opts.MemTableStopWritesThreshold = 16<<20, 4
	opts.L0CompactionThreshold, opts.L0StopWritesThreshold, opts.L0CompactionFileThreshold = 8, 1000, 32
	opts.LBaseMaxBytes = 256 << 20
	opts.TargetFileSizes = [7]int64{16 << 20, 128 << 10, 8 << 20, 8 << 20, 8 << 20, 8 << 20, 8 << 20}
	opts.Experimental.SpanPolicyFunc = func(start []byte) (pebble.SpanPolicy, []byte, error) {
		return pebble.SpanPolicy{}, []byte{start[0] + 1}, nil
	}
	for i := range opts.Levels {
		opts.Levels[i].BlockSize, opts.Levels[i].IndexBlockSize = 8<<10, 1<<10
	}
}

// run commits batches for a round, and returns the records a second, their number, and the median time of a commit.
func (w *bareLog) run(b *testing.B) (rate float64, n uint64, commit time.Duration) {
	var took []time.Duration
	start := time.Now()
	for now := start; now.Sub(start) < logRound; {
		if err := w.commit(); err != nil {
			b.Fatal(err)
		}
		then := time.Now()
		took = append(took, then.Sub(now))
		n, now = n+uint64(w.batch), then
	}
	slices.Sort(took)
	return float64(n) / time.Since(start).Seconds(), n, took[len(took)/2]
}

// commit writes one batch: each record under its ID, and its place in the index.
func (w *bareLog) commit() error {
	const run = 128
	var gaps [run - 1]byte
	for i := range gaps {
		gaps[i] = 1
	}
	key, index := []byte("e12345678"), []byte("i123456\x00123")
	batch := w.db.NewBatchWithSize(w.batch * (len(w.value) + 64))
	for i := range w.batch {
		w.id++
		binary.BigEndian.PutUint64(key[1:], w.id)
		if err := batch.Set(key, w.value, nil); err != nil {
			return err
		}
		list := gaps[:0]
		if w.lists {
			if i%run != run-1 && i != w.batch-1 {
				continue
			}
			list = gaps[:i%run]
		}
		binary.BigEndian.PutUint32(index[len(index)-4:], uint32(w.id)&(1<<18-1)) // the last three bytes of the key
		copy(index[1:7], key[1:7])
		if err := batch.Set(index, list, nil); err != nil {
			return err
		}
	}
	if err := batch.Commit(w.sync); err != nil {
		return err
	}
	return batch.Close()
}

// silent drops what Pebble tells.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}
