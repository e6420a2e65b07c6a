package client

import (
	"math/rand/v2"
	"time"
)

// backoff says how long to wait before the next attempt to connect. It knows no
// clock.
type backoff struct {
	base     time.Duration // shortest wait: reconnect interval, or what the stream told
	max      time.Duration // bound of what is added to it
	failures int           // attempts since the last healthy connection
}

// minSpread is what a base of 0 doubles from: "retry: 0" must not become a loop
// without any wait against a server that is down.
const minSpread = time.Millisecond

// spread bounds what is added to base: base·2^failures, at most max.
func (b *backoff) spread() time.Duration {
	if b.failures == 0 {
		return min(b.base, b.max)
	}
	spread := max(b.base, minSpread)
	for range b.failures {
		if spread > b.max/2 {
			return b.max
		}
		spread *= 2
	}
	return min(spread, b.max)
}

// next is a random wait of at least base, and of least where that is more: what
// is added is between 0 and the spread (full jitter, so that the clients of a
// restarted server don't come back all at once), which is doubled for the next.
func (b *backoff) next(least time.Duration) time.Duration {
	wait := max(b.base, least)
	if spread := b.spread(); spread > 0 {
		wait += rand.N(spread)
	}
	b.failures++
	return wait
}

// reset follows a healthy connection.
func (b *backoff) reset() { b.failures = 0 }
