package ringbuf_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/ringbuf"
)

// Inside a synctest bubble Wait returns when every goroutine is parked for
// good. So it also proves that a waiter parks: one that spins would hang it.

// go1 runs f beside the test and returns where its result arrives.
func go1[R any](f func() R) <-chan R {
	done := make(chan R, 1)
	go func() { done <- f() }()
	return done
}

// requireParked fails unless the call is still under way and parked.
func requireParked[R any](t *testing.T, done <-chan R) {
	t.Helper()
	synctest.Wait()
	select {
	case r := <-done:
		require.Failf(t, "did not wait", "%v", r)
	default:
	}
}

// requireDone fails unless the call has ended as it should.
func requireDone[R any](t *testing.T, want R, done <-chan R) {
	t.Helper()
	synctest.Wait()
	select {
	case got := <-done:
		require.Equal(t, want, got)
	default:
		require.Fail(t, "still waits")
	}
}

// got is what Claim or Next returned.
type got struct {
	from, to uint64
	err      error
}

func claim(ctx context.Context, r *ringbuf.Ring[uint64], n int) func() got {
	return func() got {
		first, err := r.Claim(ctx, n)
		return got{from: first, err: err}
	}
}

func next(ctx context.Context, rd *ringbuf.Reader[uint64]) func() got {
	return func() got {
		from, to, err := rd.Next(ctx, 0)
		return got{from, to, err}
	}
}

// full returns a ring of two whose slots are all claimed and published.
func full(t *testing.T) (*ringbuf.Ring[uint64], *ringbuf.Reader[uint64]) {
	r := ringbuf.NewRing[uint64](2, 0, nil)
	rd := r.NewReader()
	put(t, r)
	put(t, r)
	return r, rd
}

func TestClaimWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, rd := full(t)
		requireNext(t, rd, 0, 1, 2)
		two := go1(claim(t.Context(), r, 2))
		requireParked(t, two)
		rd.Advance(1)
		requireParked(t, two) // room for one only
		rd.Advance(2)
		requireDone(t, got{from: 3}, two)
		require.False(t, r.Waited())
	})
}

func TestClaimEndsOnClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := full(t)
		a, b := go1(claim(t.Context(), r, 1)), go1(claim(t.Context(), r, 2))
		requireParked(t, a)
		requireParked(t, b)
		r.Close()
		requireDone(t, got{err: ringbuf.ErrClosed}, a)
		requireDone(t, got{err: ringbuf.ErrClosed}, b)
	})
}

func TestClaimEndsOnContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, rd := full(t)
		ctx, cancel := context.WithCancel(t.Context())
		gone, stays := go1(claim(ctx, r, 1)), go1(claim(t.Context(), r, 1))
		requireParked(t, gone)
		cancel()
		requireDone(t, got{err: context.Canceled}, gone)
		requireDone(t, got{err: context.Canceled}, go1(claim(ctx, r, 1)))
		requireParked(t, stays) // one that gives up takes nobody with it
		requireNext(t, rd, 0, 1, 2)
		rd.Advance(2)
		requireDone(t, got{from: 3}, stays)
		requireDone(t, got{from: 4}, go1(claim(ctx, r, 1))) // room wins over ctx
	})
}

func TestNextWaitsForPublish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := ringbuf.NewRing[uint64](4, 0, nil)
		a, b := r.NewReader(), r.NewReader()
		gotA, gotB := go1(next(t.Context(), a)), go1(next(t.Context(), b))
		requireParked(t, gotA)
		requireParked(t, gotB)
		require.Equal(t, 2, r.Sleepers())

		first, _ := r.TryClaim(2)
		r.Publish(first+1, 1)
		requireParked(t, gotA) // woken, but there is a hole
		requireParked(t, gotB)
		require.Equal(t, 2, r.Sleepers())
		r.Publish(first, 1)
		require.Zero(t, r.Sleepers(), "the first wake-up of a burst is the only one")
		requireDone(t, got{from: 1, to: 2}, gotA)
		requireDone(t, got{from: 1, to: 2}, gotB)
	})
}

func TestNextWaitsForAllPredecessors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := ringbuf.NewRing[uint64](4, 0, nil)
		a, b := r.NewReader(), r.NewReader()
		c := r.NewReader(a, b)
		done := go1(next(t.Context(), c))
		requireParked(t, done)
		require.Equal(t, []int{1, 1, 0}, []int{a.Dependents(), b.Dependents(), r.Sleepers()})
		put(t, r)
		requireNext(t, a, 0, 1, 1)
		requireNext(t, b, 0, 1, 1)
		requireParked(t, done)
		a.Advance(1)
		requireParked(t, done)
		b.Advance(1)
		requireDone(t, got{from: 1, to: 1}, done)
		require.Equal(t, []int{0, 0}, []int{a.Dependents(), b.Dependents()})
	})
}

func TestNextEndsOnClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := ringbuf.NewRing[uint64](4, 0, nil)
		a := r.NewReader()
		b := r.NewReader(a)
		gotA, gotB := go1(next(t.Context(), a)), go1(next(t.Context(), b))
		first, _ := r.TryClaim(1)
		requireParked(t, gotA)
		r.Close()
		requireParked(t, gotA) // first is claimed and still to come
		requireParked(t, gotB)
		r.Publish(first, 1)
		requireDone(t, got{from: 1, to: 1}, gotA)
		requireParked(t, gotB)
		a.Advance(1)
		requireDone(t, got{from: 1, to: 1}, gotB)
		b.Advance(1)
		requireDone(t, got{err: ringbuf.ErrClosed}, go1(next(t.Context(), a)))
		requireDone(t, got{err: ringbuf.ErrClosed}, go1(next(t.Context(), b)))
	})
	synctest.Test(t, func(t *testing.T) {
		r := ringbuf.NewRing[uint64](4, 0, nil)
		a := r.NewReader()
		b := r.NewReader(a)
		gotA, gotB := go1(next(t.Context(), a)), go1(next(t.Context(), b))
		requireParked(t, gotA)
		requireParked(t, gotB)
		r.Close()
		requireDone(t, got{err: ringbuf.ErrClosed}, gotA)
		requireDone(t, got{err: ringbuf.ErrClosed}, gotB)
	})
}

func TestNextEndsOnContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := ringbuf.NewRing[uint64](4, 0, nil)
		rd := r.NewReader()
		ctx, cancel := context.WithCancel(t.Context())
		done := go1(next(ctx, rd))
		requireParked(t, done)
		cancel()
		requireDone(t, got{err: context.Canceled}, done)
		require.Zero(t, r.Sleepers())
		requireDone(t, got{err: context.Canceled}, go1(next(ctx, rd)))

		done = go1(next(t.Context(), rd)) // the reader can wait again
		requireParked(t, done)
		put(t, r)
		requireDone(t, got{from: 1, to: 1}, done)
		requireDone(t, got{from: 1, to: 1}, go1(next(ctx, rd))) // news win over ctx
	})
}
