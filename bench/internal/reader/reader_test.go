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

	"github.com/spatehub/spate/loadtest/http1"
)

// seed of the random tests; SPATE_BENCH_SEED replays one that failed.
func seed(t *testing.T) *rand.Rand {
	n := uint64(time.Now().UnixNano())
	if text := os.Getenv("SPATE_BENCH_SEED"); text != "" {
		var err error
		n, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("replay with SPATE_BENCH_SEED=%d", n)
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

// TestDechunker: however a chunked stream is cut, its data comes out, and its end is noticed.
func TestDechunker(t *testing.T) {
	r := seed(t)
	for range 200 {
		var want, wire []byte
		for range r.IntN(10) {
			n := 1 + r.IntN(300)
			wire = fmt.Appendf(wire, []string{"%x\r\n", "%X\r\n", "%x;a=b\r\n"}[r.IntN(3)], n)
			for range n {
				c := byte('a' + r.IntN(26))
				want, wire = append(want, c), append(wire, c)
			}
			wire = append(wire, "\r\n"...)
		}
		var d http1.Chunked
		var got []byte
		for rest := wire; len(rest) > 0; {
			n := 1 + r.IntN(len(rest))
			data, ok := strip(&d, slices.Clone(rest[:n]))
			require.True(t, ok)
			got, rest = append(got, data...), rest[n:]
		}
		require.Equal(t, string(want), string(got))
		_, ok := strip(&d, []byte("0\r\n\r\n"))
		require.False(t, ok)
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
