package pebblelog_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/pebblelog"
)

// benchRecords returns a batch of n records with 200-byte frames of one of 1,000
// topics, to be given IDs by setIDs.
func benchRecords(n int) []persist.Record {
	frame := make([]byte, 200)
	for i := range frame {
		frame[i] = 'a' + byte(i*i%26)
	}
	recs := make([]persist.Record, n)
	for i := range recs {
		recs[i] = persist.Record{Topic: fmt.Sprintf("topic-%03d", i%1000), Time: 1, Frame: frame}
	}
	return recs
}

func setIDs(recs []persist.Record, first uint64) uint64 {
	for i := range recs {
		recs[i].ID = first + uint64(i)
		binary.BigEndian.PutUint64(recs[i].Frame, recs[i].ID)
	}
	return first + uint64(len(recs))
}

// benchN is how many records the benchmarks of reading work on.
func benchN(b *testing.B) int {
	n := 200_000
	if s := os.Getenv("SPATETEST_BENCH_N"); s != "" {
		var err error
		n, err = strconv.Atoi(s)
		require.NoError(b, err)
	}
	return n
}

const firstID = 1_750_000_000_000_000

func fill(tb testing.TB, log *pebblelog.Log, n int) {
	recs := benchRecords(1000)
	for id := uint64(firstID); id < firstID+uint64(n); {
		id = setIDs(recs, id)
		require.NoError(tb, log.Append(context.Background(), recs))
	}
}

// BenchmarkAppend appends in turn to a log and to a bare database, so that both see
// the same machine, and reports the records a second of each and their ratio.
func BenchmarkAppend(b *testing.B) {
	for _, sync := range []bool{true, false} {
		for _, size := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("sync=%v/batch=%d", sync, size), func(b *testing.B) {
				log, err := pebblelog.Open(b.TempDir(), pebblelog.WithSync(sync))
				require.NoError(b, err)
				defer log.Close()
				bare := openBare(b, sync)
				defer bare.db.Close()
				recs := benchRecords(size)
				id := uint64(firstID)
				var logTime, bareTime time.Duration
				for b.Loop() {
					id = setIDs(recs, id)
					start := time.Now()
					require.NoError(b, log.Append(context.Background(), recs))
					middle := time.Now()
					require.NoError(b, bare.append(recs))
					logTime += middle.Sub(start)
					bareTime += time.Since(middle)
				}
				n := float64(b.N * size)
				b.ReportMetric(n/logTime.Seconds(), "records/s")
				b.ReportMetric(n/bareTime.Seconds(), "bare/s")
				b.ReportMetric(bareTime.Seconds()/logTime.Seconds(), "ratio")
			})
		}
	}
}

// bare is what a program would do that writes the same keys, and values of the same
// sizes, to Pebble itself.
type bare struct {
	db                *pebble.DB
	wo                *pebble.WriteOptions
	key, index, value []byte
}

func openBare(b *testing.B, sync bool) *bare {
	db, err := pebble.Open(b.TempDir(), pebblelog.PebbleOptions())
	require.NoError(b, err)
	w := &bare{
		db:    db,
		wo:    pebble.NoSync,
		key:   make([]byte, 9),
		index: make([]byte, 1+6+1+9+1+3),
		value: make([]byte, 1+1+1+9+1+1+200),
	}
	if sync {
		w.wo = pebble.Sync
	}
	w.key[0], w.index[0], w.index[7] = 'e', 'i', 't'
	return w
}

func (w *bare) append(recs []persist.Record) error {
	batch := w.db.NewBatch()
	for i := range recs {
		r := &recs[i]
		binary.BigEndian.PutUint64(w.key[1:], r.ID)
		copy(w.value[14:], r.Frame)
		if err := batch.Set(w.key, w.value, nil); err != nil {
			return err
		}
		seg, low := r.ID>>18, r.ID&(1<<18-1)
		binary.BigEndian.PutUint16(w.index[1:], uint16(seg>>32))
		binary.BigEndian.PutUint32(w.index[3:], uint32(seg))
		copy(w.index[8:], r.Topic)
		w.index[18], w.index[19], w.index[20] = byte(low>>16), byte(low>>8), byte(low)
		if err := batch.Set(w.index, nil, nil); err != nil {
			return err
		}
	}
	if err := batch.Commit(w.wo); err != nil {
		return err
	}
	return batch.Close()
}

// BenchmarkDense reads a log from its beginning to its end.
func BenchmarkDense(b *testing.B) {
	n := benchN(b)
	log, err := pebblelog.Open(b.TempDir(), pebblelog.WithSync(false))
	require.NoError(b, err)
	defer log.Close()
	fill(b, log, n)
	b.ReportAllocs()
	start := time.Now()
	read := 0
	for b.Loop() {
		for after := uint64(0); ; {
			page, err := log.Read(context.Background(), after, persist.Limit{})
			require.NoError(b, err)
			if page.UpTo == after {
				break
			}
			read += len(page.Records)
			after = page.UpTo
		}
	}
	require.Equal(b, n*b.N, read)
	b.ReportMetric(float64(read)/time.Since(start).Seconds(), "records/s")
}

// BenchmarkSparse reads the last 1,000 records of one of 1,000 topics, first from
// just before them, then from the beginning of the log.
func BenchmarkSparse(b *testing.B) {
	n := benchN(b)
	log, err := pebblelog.Open(b.TempDir(), pebblelog.WithSync(false))
	require.NoError(b, err)
	defer log.Close()
	fill(b, log, n)
	for _, bc := range []struct {
		name  string
		q     persist.Query
		after uint64
	}{
		{"topic=1000last", persist.Query{Topics: []string{"topic-500"}}, firstID + uint64(max(0, n-1_000_000))},
		{"topic=none", persist.Query{Topics: []string{"nobody"}}, 0},
		{"user=none", persist.Query{User: "nobody"}, 0},
		{"topics=10", persist.Query{Topics: []string{"topic-001", "topic-101", "topic-201", "topic-301", "topic-401", "topic-501", "topic-601", "topic-701", "topic-801", "topic-901"}}, firstID + uint64(max(0, n-100_000))},
	} {
		b.Run(bc.name, func(b *testing.B) {
			b.ReportAllocs()
			read := 0
			for b.Loop() {
				for after := bc.after; ; {
					page, err := log.Query(context.Background(), bc.q, after, persist.Limit{})
					require.NoError(b, err)
					if page.UpTo == after {
						break
					}
					read += len(page.Records)
					after = page.UpTo
				}
			}
			b.ReportMetric(float64(read)/float64(b.N), "records/op")
		})
	}
}

// BenchmarkReopen closes and opens a log.
func BenchmarkReopen(b *testing.B) {
	dir := b.TempDir()
	log, err := pebblelog.Open(dir, pebblelog.WithSync(false))
	require.NoError(b, err)
	fill(b, log, benchN(b))
	require.NoError(b, log.Close())
	for b.Loop() {
		log, err := pebblelog.Open(dir)
		require.NoError(b, err)
		require.NoError(b, log.Close())
	}
}
