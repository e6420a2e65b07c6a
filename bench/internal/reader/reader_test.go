//go:build linux

package reader

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/bench/internal/plan"
	"github.com/spatehub/spate/loadtest/stamp"
)

// seed of the random tests; SPATETEST_BENCH_SEED replays one that failed.
func seed(t *testing.T) *rand.Rand {
	n := uint64(time.Now().UnixNano())
	if text := os.Getenv("SPATETEST_BENCH_SEED"); text != "" {
		var err error
		n, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("replay with SPATETEST_BENCH_SEED=%d", n)
	return rand.New(rand.NewPCG(n, 0))
}

// TestQuantiles: a quantile is at most one bucket, 1/64 of its value, above the true one, and never below.
func TestQuantiles(t *testing.T) {
	r := seed(t)
	h := &hist{}
	values := make([]int64, 10_000)
	for i := range values {
		values[i] = int64(r.ExpFloat64() * float64(10*time.Millisecond))
		h.record(values[i])
	}
	slices.Sort(values)
	for _, q := range []float64{0.5, 0.9, 0.99, 0.999} {
		exact := values[int(q*float64(len(values))+0.5)-1]
		got := h.quantile(q)
		require.GreaterOrEqual(t, got, exact)
		require.LessOrEqual(t, got, exact+exact/64+1)
	}
	require.Equal(t, values[len(values)-1], h.max)
	require.Equal(t, h.max, h.quantile(1))
}

// TestBuckets: every value lies in its bucket, and buckets follow each other.
func TestBuckets(t *testing.T) {
	r := seed(t)
	for range 100_000 {
		v := uint64(r.Int64N(1 << (1 + r.IntN(histMaxBits-1))))
		b := bucketOf(v)
		require.LessOrEqual(t, int64(v), upperOf(b))
		if b > 0 {
			require.Greater(t, int64(v), upperOf(b-1))
		}
	}
	require.Equal(t, histBuckets-1, bucketOf(1<<63), "what is beyond counts in the last bucket")
}

// TestChunksAndPieces: however a chunked stream of events is cut into chunks and readings, each event is taken in once,
// and the stream's end is noticed.
func TestChunksAndPieces(t *testing.T) {
	r := seed(t)
	for range 200 {
		var body []byte
		events := r.IntN(20)
		for i := range events {
			e := stamp.Append(nil, stamp.Stamp{Run: 1, Kind: stamp.Broadcast, Seq: uint64(i + 1), Size: uint32(60 + r.IntN(300)), Sent: wall()})
			body = fmt.Appendf(body, "id: %d\ndata: %s\n\n", i, e)
		}
		var coded []byte
		for rest := body; len(rest) > 0; {
			n := min(len(rest), 1+r.IntN(500))
			coded = fmt.Appendf(coded, []string{"%x\r\n%s\r\n", "%X\r\n%s\r\n", "%x;a=b\r\n%s\r\n"}[r.IntN(3)], n, rest[:n])
			rest = rest[n:]
		}
		l, c := &loop{plan: plan.New(stamp.Broadcast, 1), run: 1, buf: make([]byte, bufferSize)}, &conn{check: check{next: 1}}
		read := func(b []byte) bool {
			had := copy(l.buf, c.kept)
			kept, ok := l.unchunk(c, l.buf[:had+copy(l.buf[had:], b)], had, wall())
			c.kept = append(c.kept[:0], kept...)
			return ok
		}
		for rest := coded; len(rest) > 0; {
			n := 1 + r.IntN(min(len(rest), 700))
			require.True(t, read(rest[:n]))
			rest = rest[n:]
		}
		require.Equal(t, uint64(events), l.count.Deliveries)
		require.Zero(t, l.count.Corrupt+l.count.Disorder+l.count.Duplicates)
		require.False(t, read([]byte("0\r\n\r\n")))
	}
}

// TestHolesTwin: holes agree with a set of the numbers that have come.
func TestHolesTwin(t *testing.T) {
	r := seed(t)
	for range 200 {
		c := check{next: 1}
		seen := map[uint64]bool{}
		var top uint64
		for range 300 {
			n := 1 + r.Uint64N(200)
			switch {
			case n == c.next:
				c.next++
			case n > c.next:
				c.skip(n)
				c.next = n + 1
			default:
				require.Equal(t, !seen[n], c.fill(n), "number %d", n)
			}
			seen[n] = true
			top = max(top, n)
			require.Equal(t, 250-uint64(len(seen)), c.missing(250))
		}
		require.Equal(t, top+1, c.next)
	}
}
