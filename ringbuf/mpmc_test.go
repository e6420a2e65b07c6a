package ringbuf_test

import (
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/ringbuf"
)

// Any sequence of operations does to an MPMC what it does to a slice.
func TestMPMCAgainstSlice(t *testing.T) {
	rng := newRand(newSeed(t), 0)
	for round := range 100 {
		q := ringbuf.NewMPMCAt[int](1+rng.IntN(9), starts[round%len(starts)])
		var want []int
		for i := range 300 {
			if rng.IntN(2) == 0 {
				ok := q.TryPush(i)
				require.Equal(t, len(want) < q.Cap(), ok)
				if ok {
					want = append(want, i)
				}
			} else {
				v, ok := q.TryPop()
				require.Equal(t, len(want) > 0, ok)
				if ok {
					require.Equal(t, want[0], v)
					want = want[1:]
				}
			}
			require.Equal(t, len(want), q.Len())
		}
	}
}

// Every value is popped exactly once, and each consumer sees each producer's
// values in order.
func TestMPMCStress(t *testing.T) {
	const producers, consumers, each = 3, 3, 4000
	type item struct{ producer, n int }
	for _, start := range starts {
		q := ringbuf.NewMPMCAt[*item](8, start)
		var pushing, popping sync.WaitGroup
		for p := range producers {
			pushing.Go(func() {
				for n := range each {
					for v := (&item{p, n}); !q.TryPush(v); {
						runtime.Gosched()
					}
				}
			})
		}
		var got [consumers][producers][]int
		stop := make(chan struct{})
		for c := range consumers {
			popping.Go(func() {
				for {
					v, ok := q.TryPop()
					if ok {
						got[c][v.producer] = append(got[c][v.producer], v.n)
						continue
					}
					select {
					case <-stop:
						return
					default:
						runtime.Gosched()
					}
				}
			})
		}
		pushing.Wait()
		for q.Len() > 0 {
			runtime.Gosched()
		}
		close(stop)
		popping.Wait()
		for _, v := range q.Values() {
			require.Nil(t, v, "the queue keeps a value alive")
		}
		for p := range producers {
			var seen [each]int
			for c := range consumers {
				last := -1
				for _, n := range got[c][p] {
					require.Greater(t, n, last)
					last = n
					seen[n]++
				}
			}
			for n, times := range seen {
				require.Equalf(t, 1, times, "value %d of producer %d", n, p)
			}
		}
	}
}

// Where nobody pops, a push fails only if the queue is full, and where nobody
// pushes, a pop only if it is empty, however many try at once.
func TestMPMCFailsOnlyForCause(t *testing.T) {
	const workers, each = 4, 16
	for range 500 {
		q := ringbuf.NewMPMC[int](workers * each)
		for _, op := range []func() bool{
			func() bool { return q.TryPush(1) },
			func() bool { _, ok := q.TryPop(); return ok },
		} {
			var wg sync.WaitGroup
			for range workers {
				wg.Go(func() {
					for i := range each {
						if !op() {
							t.Errorf("failed after %d", i)
						}
					}
				})
			}
			wg.Wait()
			require.False(t, op())
		}
	}
}
