package ringbuf_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/ringbuf"
)

// queueStarts are indices to begin at; the last ones pass the wrap-around.
var queueStarts = []uint64{0, 1<<63 - 3, 1<<62 - 3}

// The bound is what was asked for, not the power of two above.
func TestQueueBoundIsExact(t *testing.T) {
	for capacity, want := range map[int]int{-1: 1, 0: 1, 1: 1, 2: 2, 5: 5, 64: 64} {
		q := ringbuf.NewQueue[int](capacity)
		require.Equal(t, want, q.Cap())
		for i := range want {
			require.True(t, q.TryPush(i))
		}
		require.False(t, q.TryPush(-1))
		require.Equal(t, want, q.Len())
	}
}

// Any sequence of operations does to a queue what it does to a slice.
func TestQueueAgainstSlice(t *testing.T) {
	rng := newRand(newSeed(t), 0)
	for round := range 200 {
		capacity := 1 + rng.IntN(9)
		q := ringbuf.NewQueueAt[int](capacity, queueStarts[round%len(queueStarts)])
		var want []int
		closed := false
		for i := range 200 {
			switch rng.IntN(40) {
			default:
				ok := q.TryPush(i)
				require.Equal(t, len(want) < capacity && !closed, ok)
				if ok {
					want = append(want, i)
				}
			case 0:
				if i > 100 {
					q.Close()
					closed = true
				}
			case 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18:
				v, ok := q.TryPop()
				require.Equal(t, len(want) > 0, ok)
				if ok {
					require.Equal(t, want[0], v)
					want = want[1:]
				} else if closed {
					_, err := q.Pop(t.Context())
					require.ErrorIs(t, err, ringbuf.ErrClosed)
				}
			}
			require.Equal(t, len(want), q.Len())
		}
	}
}

// What was pushed before Close is popped exactly once and in order; what was
// pushed after it is refused. Nothing is lost between the two, although Close
// comes from a third goroutine at any moment.
func TestQueueStress(t *testing.T) {
	for _, wait := range []ringbuf.WaitStrategy{{}, ringbuf.DefaultWait, {Yields: 3}} {
		for round := range 60 {
			ctx := newDeadline(t)
			q := ringbuf.NewQueueAt[*int](1+round%5, queueStarts[round%len(queueStarts)], ringbuf.WithWait(wait))
			pushed := 0
			halfway := make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				for n := 0; ; n++ {
					for !q.TryPush(&n) {
						if q.Closed() {
							pushed = n
							return
						}
						runtime.Gosched()
					}
					if n == 400 {
						close(halfway)
					}
				}
			})
			wg.Go(func() {
				<-halfway
				q.Close()
				q.Close()
			})
			popped := 0
			for {
				v, err := q.Pop(ctx)
				if errors.Is(err, ringbuf.ErrClosed) {
					break
				}
				require.NoError(t, err, "a wake-up was lost")
				require.Equal(t, popped, *v)
				popped++
			}
			wg.Wait()
			require.Equal(t, pushed, popped)
			require.Zero(t, q.Len())
			for i := range q.Slots() {
				require.Nil(t, q.Slots()[i], "the queue keeps a value alive")
			}
		}
	}
}

// A push that meets Close either reaches the consumer or is refused, and then
// leaves nothing behind.
func TestQueueCloseMeetsPush(t *testing.T) {
	rng := newRand(newSeed(t), 0)
	for range 3000 {
		q := ringbuf.NewQueue[*int](256)
		var begun atomic.Bool
		pushed := go1(func() (n int) {
			for begun.Store(true); q.TryPush(&n); n++ {
			}
			return n
		})
		for spins := rng.IntN(1000); spins > 0; {
			if begun.Load() {
				spins--
			} else {
				runtime.Gosched()
			}
		}
		q.Close()
		want := <-pushed
		require.True(t, q.Closed(), "the push undid Close")
		require.Equal(t, want, q.Len())
		for range want {
			_, ok := q.TryPop()
			require.True(t, ok)
		}
		_, ok := q.TryPop()
		require.False(t, ok)
		for _, v := range q.Slots() {
			if v != nil {
				require.Fail(t, "the queue keeps a value alive")
			}
		}
	}
}

// No wake-up is lost: two queues of one, and both sides park at once.
func TestQueueNoLostWakeUps(t *testing.T) {
	ctx := newDeadline(t)
	there := ringbuf.NewQueue[int](1, parkAtOnce)
	back := ringbuf.NewQueue[int](1, parkAtOnce)
	go func() {
		for {
			v, err := there.Pop(ctx)
			if err != nil {
				back.Close()
				return
			}
			back.TryPush(v)
		}
	}()
	for i := range 20000 {
		require.True(t, there.TryPush(i))
		v, err := back.Pop(ctx)
		require.NoError(t, err)
		require.Equal(t, i, v)
	}
	there.Close()
	_, err := back.Pop(ctx)
	require.ErrorIs(t, err, ringbuf.ErrClosed)
}

func TestQueuePopEndsOnCloseAndContext(t *testing.T) {
	type result struct {
		v   int
		err error
	}
	synctest.Test(t, func(t *testing.T) {
		q := ringbuf.NewQueue[int](4)
		ctx, cancel := context.WithCancel(t.Context())
		pop := func(ctx context.Context) func() result {
			return func() result {
				v, err := q.Pop(ctx)
				return result{v, err}
			}
		}
		done := go1(pop(ctx))
		requireParked(t, done)
		cancel()
		requireDone(t, result{err: context.Canceled}, done)

		done = go1(pop(t.Context()))
		requireParked(t, done)
		q.TryPush(7)
		requireDone(t, result{v: 7}, done)

		q.TryPush(8)
		requireDone(t, result{v: 8}, go1(pop(ctx))) // a value wins over ctx

		done = go1(pop(t.Context()))
		requireParked(t, done)
		q.Close()
		requireDone(t, result{err: ringbuf.ErrClosed}, done)
	})
}
