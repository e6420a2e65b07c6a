package ringbuf

import (
	"context"
	"sync/atomic"
)

// Waiting follows one pattern throughout. The waiter first announces itself,
// then looks again, then blocks. The other side first publishes, then looks
// for an announcement. Go's atomics are sequentially consistent, so one of the
// two must see the other: either the waiter's second look finds what was
// published, or the publisher finds the waiter. Where nobody waits, the
// publisher pays one load of a line that is written only when somebody parks.

const (
	parkerIdle    = iota // nobody waits, or a token is on its way
	parkerWaiting        // announced: whoever moves it back to idle wins
)

// parker blocks one goroutine at a time, and is used again without allocating.
//
// Whoever moves state from waiting to idle owns the wake-up: a waker then
// sends exactly one token, a waiter that gives up sends none. So token (room
// for one) never blocks its sender and is empty whenever state is waiting.
type parker struct {
	state atomic.Uint32
	token chan struct{}
	bells []*bell // the sources that may wake it; fixed before the first use
}

func newParker() parker { return parker{token: make(chan struct{}, 1)} }

// announce must be followed by another look, and then by wait or retract.
func (p *parker) announce() {
	// Counted before the state says waiting, discounted after it says idle:
	// a bell's count is never below the number of its waiting parkers.
	for _, b := range p.bells {
		b.sleepers.Add(1)
	}
	p.state.Store(parkerWaiting)
}

// retract takes an announcement back. If a waker was faster, its token is
// consumed; it is sent right after the waker's swap, so this is no real wait.
func (p *parker) retract() {
	if p.state.CompareAndSwap(parkerWaiting, parkerIdle) {
		p.leaveBells()
		return
	}
	<-p.token
}

// wait blocks until a wake-up or the end of ctx, whose error it returns.
func (p *parker) wait(ctx context.Context) error {
	select {
	case <-p.token:
		return nil
	case <-ctx.Done():
		p.retract()
		return ctx.Err()
	}
}

// wake ends the announced wait, if there is one. Safe from any goroutine.
func (p *parker) wake() {
	if p.state.Load() == parkerWaiting && p.state.CompareAndSwap(parkerWaiting, parkerIdle) {
		p.leaveBells()
		p.token <- struct{}{}
	}
}

func (p *parker) leaveBells() {
	for _, b := range p.bells {
		b.sleepers.Add(-1)
	}
}

// bell is one source of news (a ring's publications, a reader's cursor) and
// the parkers that may wait for it.
type bell struct {
	// sleepers is at least the number of parkers that wait. Written when one
	// parks or is woken, read after every publication.
	sleepers atomic.Int32
	parkers  []*parker // fixed before the first use
}

// join lets p wait for b. Before the first use of either only.
func (b *bell) join(p *parker) {
	b.parkers = append(b.parkers, p)
	p.bells = append(p.bells, b)
}

// ring wakes all that wait; to be called after the news is published. The
// first ring of a burst resets sleepers, so the rest of it is one load each.
func (b *bell) ring() {
	if b.sleepers.Load() != 0 {
		b.wakeAll()
	}
}

// wakeAll is kept out of line, so that every Publish carries only the load.
//
//go:noinline
func (b *bell) wakeAll() {
	for _, p := range b.parkers {
		p.wake()
	}
}

// gate blocks any number of goroutines until the next opening. It holds the
// channel that the present waiters share, nil when there were none since the
// last opening. A waiter that gives up just leaves: what remains is at most
// one channel, closed by the next opening. (A list of waiters would have to
// be searched by each that gives up, under a lock.)
type gate struct {
	shared atomic.Pointer[chan struct{}]
}

// announce returns the channel that the next open closes. The caller must
// look again before it blocks on it.
func (g *gate) announce() <-chan struct{} {
	var fresh chan struct{}
	for {
		if ch := g.shared.Load(); ch != nil {
			return *ch
		}
		if fresh == nil {
			fresh = make(chan struct{})
		}
		if g.shared.CompareAndSwap(nil, &fresh) {
			return fresh
		}
	}
}

// open wakes all that wait; to be called after the news is published.
func (g *gate) open() {
	if g.shared.Load() != nil {
		g.release()
	}
}

// release is kept out of line like wakeAll. The swap makes the caller the only
// one to close this channel.
//
//go:noinline
func (g *gate) release() {
	if ch := g.shared.Swap(nil); ch != nil {
		close(*ch)
	}
}
