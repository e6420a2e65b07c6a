package client

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBackoffSpread(t *testing.T) {
	const ms = time.Millisecond
	for _, tc := range []struct {
		base, max time.Duration
		failures  int
		want      time.Duration
	}{
		{1000 * ms, 30000 * ms, 0, 1000 * ms},
		{1000 * ms, 30000 * ms, 1, 2000 * ms},
		{1000 * ms, 30000 * ms, 4, 16000 * ms},
		{1000 * ms, 30000 * ms, 5, 30000 * ms},
		{1000 * ms, 30000 * ms, math.MaxInt, 30000 * ms},
		{60000 * ms, 30000 * ms, 0, 30000 * ms},
		{60000 * ms, 30000 * ms, 3, 30000 * ms},
		{0, 30000 * ms, 0, 0},
		{0, 30000 * ms, 1, 2 * ms},
		{0, 30000 * ms, 100, 30000 * ms},
		{1, 1, 0, 1},
		{1, 1, 7, 1},
		{math.MaxInt64, 30000 * ms, 0, 30000 * ms},
		{math.MaxInt64, math.MaxInt64, 9, math.MaxInt64},
	} {
		b := backoff{base: tc.base, max: tc.max, failures: tc.failures}
		require.Equal(t, tc.want, b.spread(), "%+v", tc)
	}
}

// Never sooner than the base says, or the server by a Retry-After; what is added is
// spread over the whole of [0, spread).
func TestBackoffJitter(t *testing.T) {
	for _, least := range []time.Duration{0, time.Second, time.Minute} {
		b := backoff{base: time.Second, max: time.Second}
		from := max(least, time.Second)
		var tenths [10]int
		const n = 10_000
		for range n {
			added := b.next(least) - from
			require.GreaterOrEqual(t, added, time.Duration(0))
			require.Less(t, added, time.Second)
			tenths[added*10/time.Second]++
		}
		for _, got := range tenths {
			require.InDelta(t, n/10, got, 250, "%v", tenths) // 8 standard deviations
		}
		require.Equal(t, n, b.failures)
		b.reset()
		require.Zero(t, b.failures)
	}
	zero := backoff{max: time.Second}
	require.Zero(t, zero.next(0))
	require.Equal(t, time.Hour, zero.next(time.Hour).Truncate(time.Second))
}
