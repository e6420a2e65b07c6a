package ringbuf_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/ringbuf"
)

// parkAtOnce makes every wait a wake-up that can be lost.
var parkAtOnce = ringbuf.WithWait(ringbuf.WaitStrategy{})

// A wake-up and the end of a context that meet leave neither a token nor a
// count behind, whichever comes first.
func TestNextCancelledWhilePublishing(t *testing.T) {
	deadline := newDeadline(t)
	r := ringbuf.NewRing[uint64](2, 0, nil, parkAtOnce)
	rd := r.NewReader()
	for range 3000 {
		ctx, cancel := context.WithCancel(deadline)
		done := go1(next(ctx, rd))
		var racing sync.WaitGroup
		racing.Go(cancel)
		racing.Go(func() { put(t, r) })
		racing.Wait()
		res := <-done
		if res.err != nil {
			require.ErrorIs(t, res.err, context.Canceled)
			_, res.to, res.err = rd.Next(deadline, 0)
			require.NoError(t, res.err)
		}
		rd.Advance(res.to)
		require.Zero(t, r.Sleepers())
	}
}

// No wake-up is lost. Every batch fills the ring and all park at once, so each
// step of the round needs each wake-up: a producer waits for the last reader,
// the first reader for a producer, every other for the one before it.
func TestNoLostWakeUps(t *testing.T) {
	const rounds = 6000
	for name, c := range map[string]struct{ capacity, claim, producers, readers int }{
		"ping-pong":                {2, 2, 1, 1},
		"chain":                    {2, 2, 1, 3},
		"producers race for room":  {2, 2, 4, 1},
		"producers complete a lap": {4, 1, 4, 2},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := newDeadline(t)
			r := ringbuf.NewRing[uint64](c.capacity, ^uint64(0)-uint64(rounds), nil, parkAtOnce)
			var readers, producers sync.WaitGroup
			var chain []*ringbuf.Reader[uint64]
			for i := range c.readers {
				rd := r.NewReader(chain[max(0, i-1):]...)
				chain = append(chain, rd)
				readers.Go(func() {
					for {
						_, to, err := rd.Next(ctx, 0)
						if errors.Is(err, ringbuf.ErrClosed) {
							return
						}
						if err != nil {
							t.Errorf("reader %d lost a wake-up: %v", i, err)
							return
						}
						rd.Advance(to)
					}
				})
			}
			for p := range c.producers {
				producers.Go(func() {
					for range rounds / c.producers {
						first, err := r.Claim(ctx, c.claim)
						if err != nil {
							t.Errorf("producer %d lost a wake-up: %v", p, err)
							return
						}
						r.Publish(first, c.claim)
					}
				})
			}
			producers.Wait()
			r.Close()
			readers.Wait()
		})
	}
}

// No reclaim is lost: readers that raise their holds at the same moment leave
// nothing unreleased, or the producer would wait for ever.
func TestNoLostReclaim(t *testing.T) {
	const rounds = 8000
	ctx := newDeadline(t)
	r := ringbuf.NewRing[uint64](2, 0, nil, ringbuf.WithWait(ringbuf.WaitStrategy{Spins: 50, Yields: 5}))
	var readers sync.WaitGroup
	for range 3 {
		rd := r.NewReader()
		readers.Go(func() {
			for {
				_, to, err := rd.Next(ctx, 1)
				if err != nil {
					if !errors.Is(err, ringbuf.ErrClosed) {
						t.Errorf("reader: %v", err)
					}
					return
				}
				rd.Advance(to)
			}
		})
	}
	for range rounds {
		first, err := r.Claim(ctx, 2)
		if err != nil {
			t.Errorf("a reclaim was lost: %v", err)
			break
		}
		r.Publish(first, 2)
	}
	r.Close()
	readers.Wait()
	if r.Claimed() != r.Reclaimed() {
		t.Errorf("claimed %d, reclaimed %d", r.Claimed(), r.Reclaimed())
	}
}

// Close ends every wait, also one that begins at the same moment.
func TestCloseMeetsWaits(t *testing.T) {
	ctx, rng := newDeadline(t), newRand(newSeed(t), 0)
	for name, prepare := range map[string]func() (wait func() error, end func()){
		"Claim": func() (func() error, func()) {
			r := ringbuf.NewRing[uint64](2, 0, nil, parkAtOnce)
			r.TryClaim(2)
			return func() error { _, err := r.Claim(ctx, 1); return err }, r.Close
		},
		"Next": func() (func() error, func()) {
			r := ringbuf.NewRing[uint64](2, 0, nil, parkAtOnce)
			rd := r.NewReader()
			return func() error { _, _, err := rd.Next(ctx, 0); return err }, r.Close
		},
		"Next of a dependent reader": func() (func() error, func()) {
			r := ringbuf.NewRing[uint64](2, 0, nil, parkAtOnce)
			rd := r.NewReader(r.NewReader())
			return func() error { _, _, err := rd.Next(ctx, 0); return err }, r.Close
		},
		"Pop": func() (func() error, func()) {
			q := ringbuf.NewQueue[int](1, parkAtOnce)
			return func() error { _, err := q.Pop(ctx); return err }, q.Close
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 5000 {
				wait, end := prepare()
				var begun atomic.Bool
				done := go1(func() error {
					begun.Store(true)
					return wait()
				})
				for spins := rng.IntN(100); spins > 0; {
					if begun.Load() {
						spins--
					} else {
						runtime.Gosched()
					}
				}
				end()
				require.ErrorIs(t, <-done, ringbuf.ErrClosed)
			}
		})
	}
}
