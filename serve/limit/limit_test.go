package limit_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/spatehub/spate/serve/limit"
)

func TestMain(m *testing.M) {
	// The goroutines there are now belong to the default pool of ants, which nobody uses.
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

var begin = time.Unix(1_800_000_000, 0)

func TestBuckets(t *testing.T) {
	b := limit.NewBuckets[string](10)
	r := limit.Rate{PerSecond: 2, Burst: 4}
	for range 4 {
		require.Zero(t, b.Take(begin, "a", r, 1))
	}
	require.Equal(t, 500*time.Millisecond, b.Take(begin, "a", r, 1))
	require.Equal(t, 500*time.Millisecond, b.Take(begin, "a", r, 1), "a refused one takes nothing")
	require.Zero(t, b.Take(begin, "b", r, 1), "others have their own")
	require.Zero(t, b.Take(begin.Add(500*time.Millisecond), "a", r, 1))
	require.Equal(t, 2*time.Second, b.Take(begin.Add(500*time.Millisecond), "a", r, 100), "more than a bucket needs a full one")
	require.Zero(t, b.Take(begin.Add(time.Minute), "a", r, 100))
	require.Equal(t, 48500*time.Millisecond, b.Take(begin.Add(time.Minute), "a", r, 1), "and leaves a debt")
	require.Zero(t, b.Take(begin.Add(time.Minute+50*time.Second), "a", r, 4))

	for range 100 {
		require.Zero(t, b.Take(begin, "c", limit.Rate{}, 1), "no rate is no bound")
	}
	require.Zero(t, b.Take(begin, "d", limit.Rate{PerSecond: 0.5}, 1), "a bucket has room for one")
	require.Equal(t, 2*time.Second, b.Take(begin, "d", limit.Rate{PerSecond: 0.5}, 1))
	require.Zero(t, b.Take(begin.Add(10*time.Second), "d", limit.Rate{PerSecond: 10}, 1))
	require.Equal(t, 100*time.Millisecond, b.Take(begin.Add(10*time.Second), "d", limit.Rate{PerSecond: 10}, 1), "the rate may change")
	require.Zero(t, b.Take(begin.Add(20*time.Second), "d", limit.Rate{PerSecond: 10}, 10))
}

// (Invariant 5.) However many keys there are, so many are known; who is limited stays limited, and who is known is not disturbed.
func TestBucketsAreBounded(t *testing.T) {
	const known = 100
	b := limit.NewBuckets[string](known)
	r := limit.Rate{PerSecond: 1, Burst: 2}
	for i := range known { // all of them used up
		key := "old" + strconv.Itoa(i)
		require.Zero(t, b.Take(begin, key, r, 2))
	}
	allowed := 0
	for i := range 10_000 {
		if b.Take(begin, "new"+strconv.Itoa(i), r, 1) == 0 {
			allowed++
		}
	}
	require.Equal(t, 2, allowed, "all new keys share a bucket")
	require.Equal(t, known, b.Len())
	require.NotZero(t, b.Take(begin, "old0", r, 1), "and push no old one out")
	later := begin.Add(3 * time.Second)
	for i := range known {
		require.Zero(t, b.Take(later, "later"+strconv.Itoa(i), r, 1), "full buckets make room")
	}
	require.Equal(t, known, b.Len())
}

// A bucket that is full again is not kept, and what is left of very many keys is little.
func TestBucketsForgetTheIdle(t *testing.T) {
	const many = 20_000
	b := limit.NewBuckets[int](0)
	r := limit.Rate{PerSecond: 1, Burst: 2}
	for i := range many {
		require.Zero(t, b.Take(begin, i, r, 1))
	}
	require.Equal(t, many, b.Len(), "none is full yet")
	require.Zero(t, b.Take(begin, -1, r, 2))
	for i := range many { // nobody new
		require.NotZero(t, b.Take(begin.Add(999*time.Millisecond), -1, r, 2), i)
	}
	require.Equal(t, many+1, b.Len())
	for range many {
		require.NotZero(t, b.Take(begin.Add(1500*time.Millisecond), -1, r, 2))
	}
	require.Equal(t, 1, b.Len(), "who still lacks something")
}

// TestBucketsModel: no key ever gets more than its rate allows over any span that begins full, whatever the order of keys.
func TestBucketsModel(t *testing.T) {
	seed := rand.Uint64()
	if v := os.Getenv("SPATETEST_SEED"); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		require.NoError(t, err)
		seed = n
	}
	t.Logf("replay with SPATETEST_SEED=%d go test -run '^%s$' ./serve/limit", seed, t.Name())
	rnd := rand.New(rand.NewPCG(seed, 0))
	const keys, room = 40, 10
	b := limit.NewBuckets[int](room)
	r := limit.Rate{PerSecond: 5, Burst: 7}
	tokens, at := map[int]float64{}, map[int]time.Time{}
	now := begin
	for range 50_000 {
		now = now.Add(time.Duration(rnd.IntN(int(20 * time.Millisecond))))
		key, n := rnd.IntN(keys), 1+rnd.IntN(3)
		if _, seen := at[key]; !seen {
			tokens[key] = 7
			at[key] = now
		}
		tokens[key] = min(7, tokens[key]+5*now.Sub(at[key]).Seconds())
		at[key] = now
		if b.Take(now, key, r, n) == 0 {
			tokens[key] -= float64(n)
			require.GreaterOrEqual(t, tokens[key], -1e-6)
		}
		require.LessOrEqual(t, b.Len(), room)
	}
}

func TestCounts(t *testing.T) {
	var c limit.Counts[string]
	require.True(t, c.Acquire("a", 2))
	require.True(t, c.Acquire("a", 2))
	require.False(t, c.Acquire("a", 2))
	require.True(t, c.Acquire("b", 1))
	require.Equal(t, 2, c.Held("a"))
	c.Release("a")
	require.True(t, c.Acquire("a", 2))
	for range 10 {
		require.True(t, c.Acquire("free", 0))
	}
	for range 2 {
		c.Release("a")
	}
	require.Zero(t, c.Held("a"))
	require.Panics(t, func() { c.Release("a") })
}

func TestCountsTogether(t *testing.T) {
	var c limit.Counts[int]
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 5000 {
				if key := i % 7; c.Acquire(key, 3) {
					if n := c.Held(key); n < 1 || n > 3 {
						t.Errorf("%d held", n)
					}
					c.Release(key)
				}
			}
		})
	}
	wg.Wait()
	for key := range 7 {
		require.Zero(t, c.Held(key))
	}
}

func TestCountsGiveMemoryBack(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	const many = 200_000
	var c limit.Counts[string]
	before := heap()
	for i := range many {
		c.Acquire(fmt.Sprintf("user%d", i), 1)
	}
	require.Greater(t, heap()-before, int64(5<<20))
	for i := range many {
		c.Release(fmt.Sprintf("user%d", i))
	}
	require.Less(t, heap()-before, int64(1<<20))
	runtime.KeepAlive(&c)
}

func BenchmarkTake(b *testing.B) {
	table := limit.NewBuckets[string](0)
	names := make([]string, 10_000)
	for i := range names {
		names[i] = "user" + strconv.Itoa(i)
	}
	r := limit.Rate{PerSecond: 1e6, Burst: 1e6}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		table.Take(begin.Add(time.Duration(i)), names[i%len(names)], r, 1)
		i++
	}
}
