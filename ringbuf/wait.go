package ringbuf

import "runtime"

// WaitStrategy says how a blocking call waits before it parks its goroutine.
// It looks again Spins times at once, then Yields times after giving the
// processor to other goroutines, and then parks: an idle waiter costs no
// processor time whatever the strategy. The zero value parks at once.
//
// Spinning pays only where the other side answers within some hundred
// nanoseconds on another core, and takes that core's time from everybody else
// otherwise.
type WaitStrategy struct {
	Spins  int // looks without a pause; < 1 is none
	Yields int // looks after runtime.Gosched; < 1 is none
}

// DefaultWait is used where no [WithWait] is given. Two yields let the other
// side run on the same processor, which saves the parking and the waking:
// measured on two cores, a message there and back takes 0.25 µs, against 0.5 µs
// when parking at once and 0.9 µs to 15 µs with 32 to 1,000 spins, which also
// slow down all other shapes of BenchmarkBroadcast.
var DefaultWait = WaitStrategy{Yields: 2}

// pause is called after the i-th fruitless look (from 0). It reports false
// when it is time to park.
func (w WaitStrategy) pause(i int) bool {
	if i < w.Spins {
		return true
	}
	if i < max(w.Spins, 0)+w.Yields {
		runtime.Gosched()
		return true
	}
	return false
}

// Option sets up a [Ring] or a [Queue].
type Option func(*options)

type options struct {
	wait   WaitStrategy
	number uint64
	after  func()
}

// WithWait sets how blocking calls wait.
func WithWait(w WaitStrategy) Option {
	return func(o *options) { o.wait = w }
}

// WithNumber sets the number before the first that a [Ring] gives out with
// [Ring.ClaimNumbered]; it is 0 otherwise.
func WithNumber(last uint64) Option {
	return func(o *options) { o.number = last }
}

// WithAfterRelease has fn called after each run of releases, before their slots
// are free for producers: what a release function adds up needs to be told once
// a run. What holds for that function holds for fn.
func WithAfterRelease(fn func()) Option {
	return func(o *options) { o.after = fn }
}

func newOptions(opts []Option) options {
	o := options{wait: DefaultWait, after: func() {}}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}
