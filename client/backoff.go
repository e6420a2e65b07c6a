package client

import (
	"math/rand/v2"
	"time"
)

// backoff says how long to wait before the next attempt to connect. It knows no
// clock.
type backoff struct {
	base     time.Duration // bound of the first wait: reconnect interval, or what the stream told
	max      time.Duration
	failures int // attempts since the last healthy connection
}

// minBase is what a base of 0 doubles from: "retry: 0" must not become a loop
// without any wait against a server that is down.
const minBase = time.Millisecond

// bound is the longest that the next wait may be: base·2^failures, at most max.
func (b *backoff) bound() time.Duration {
	if b.failures == 0 {
		return min(b.base, b.max)
	}
	bound := max(b.base, minBase)
	for range b.failures {
		if bound > b.max/2 {
			return b.max
		}
		bound *= 2
	}
	return min(bound, b.max)
}

// next is a random wait between 0 and the bound, which is doubled for the one
// after it.
func (b *backoff) next() time.Duration {
	bound := b.bound()
	b.failures++
	if bound <= 0 {
		return 0
	}
	return rand.N(bound)
}

// reset follows a healthy connection.
func (b *backoff) reset() { b.failures = 0 }
