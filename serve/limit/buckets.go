package limit

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// DefaultKeys is how many keys a table of buckets knows apart.
const DefaultKeys = 65_536

// How many buckets, whose turn goes round, are looked at for whether they are full
// again: by each request, and by a new key that needs the room.
const (
	sweepLooks = 2
	evictLooks = 4
)

// Rate is what a bucket gives: PerSecond tokens over time, and Burst at once at
// most. PerSecond ≤ 0 is no bound.
type Rate struct {
	PerSecond float64
	Burst     int // less than 1 counts as what a second gives, or 1
}

// burst is the size of the bucket.
func (r Rate) burst() int {
	if r.Burst > 0 {
		return r.Burst
	}
	return int(max(1, min(r.PerSecond, 1<<30)))
}

// Buckets is a table of token buckets by key, such as a user's name or a client's
// address. A key that it does not know has a full bucket.
//
// It keeps a bounded number of keys. A key is forgotten soon after its bucket is full
// again, so that nothing is lost, and who has long been idle takes no memory. Where no
// room is left, all new keys share one bucket until there is, and begin with what is
// left in it: nobody escapes a limit by coming from very many addresses, no key gets
// more than its rate, and the known ones are not disturbed.
type Buckets[K comparable] struct {
	max int
	mu  struct {
		sync.Mutex
		keys   map[K]*rate.Limiter
		peak   int // most keys since the map was made
		ring   []K // the keys
		hand   int // in ring: whose bucket is looked at next
		shared *rate.Limiter
	}
}

// NewBuckets returns a table of at most maxKeys keys; 0 or less is [DefaultKeys].
func NewBuckets[K comparable](maxKeys int) *Buckets[K] {
	if maxKeys <= 0 {
		maxKeys = DefaultKeys
	}
	b := &Buckets[K]{max: maxKeys}
	b.mu.keys = make(map[K]*rate.Limiter)
	return b
}

// Take takes n tokens out of the key's bucket and returns 0, or takes none and
// returns how long it takes until there are so many. What is more than a full
// bucket needs a full one, and leaves a debt: a single large request is not refused
// for ever, and what is taken over time is no more than the rate.
//
// The rate is the key's from now on; it may be another each time.
func (b *Buckets[K]) Take(now time.Time, key K, r Rate, n int) (wait time.Duration) {
	if r.PerSecond <= 0 || n <= 0 {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.tidyLocked(now) // after the key has taken: its own bucket is not full then
	lim := b.limiterLocked(now, key, r)
	if lim.Limit() != rate.Limit(r.PerSecond) {
		lim.SetLimitAt(now, rate.Limit(r.PerSecond))
	}
	if lim.Burst() != r.burst() {
		lim.SetBurstAt(now, r.burst())
	}
	burst := r.burst()
	reservation := lim.ReserveN(now, min(n, burst))
	if wait = reservation.DelayFrom(now); wait > 0 {
		reservation.CancelAt(now)
		return wait
	}
	if debt := n - burst; debt > 0 {
		lim.SetBurstAt(now, debt) // no more may be reserved at a time
		lim.ReserveN(now, debt)
		lim.SetBurstAt(now, burst)
	}
	return 0
}

// Len is the number of keys that are known.
func (b *Buckets[K]) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.mu.keys)
}

// limiterLocked returns the key's bucket, or the shared one.
func (b *Buckets[K]) limiterLocked(now time.Time, key K, r Rate) *rate.Limiter {
	if lim := b.mu.keys[key]; lim != nil {
		return lim
	}
	if len(b.mu.keys) >= b.max && !b.sweepLocked(now, evictLooks) {
		if b.mu.shared == nil {
			b.mu.shared = newLimiter(r)
		}
		return b.mu.shared
	}
	lim := newLimiter(r)
	if b.mu.shared != nil { // the key may have taken its share of that
		if spent := float64(b.mu.shared.Burst()) - b.mu.shared.TokensAt(now); spent > 0 {
			lim.AllowN(now, min(r.burst(), int(math.Ceil(spent))))
		}
	}
	b.mu.keys[key] = lim
	b.mu.peak = max(b.mu.peak, len(b.mu.keys))
	b.mu.ring = append(b.mu.ring, key)
	return lim
}

func newLimiter(r Rate) *rate.Limiter { return rate.NewLimiter(rate.Limit(r.PerSecond), r.burst()) }

func isFull(lim *rate.Limiter, now time.Time) bool { return lim.TokensAt(now) >= float64(lim.Burst()) }

// tidyLocked forgets some of what is full again. While new keys share a bucket, a known
// one keeps its own: it would have to begin with what is left in that.
func (b *Buckets[K]) tidyLocked(now time.Time) {
	if b.mu.shared != nil {
		if !isFull(b.mu.shared, now) {
			return
		}
		b.mu.shared = nil
	}
	b.sweepLocked(now, sweepLooks)
}

// sweepLocked looks at so many buckets, in turn, and reports whether it forgot a key.
func (b *Buckets[K]) sweepLocked(now time.Time, looks int) (some bool) {
	m := &b.mu
	for ; looks > 0 && len(m.ring) > 0; looks-- {
		if m.hand >= len(m.ring) {
			m.hand = 0
		}
		key, last := m.ring[m.hand], len(m.ring)-1
		if !isFull(m.keys[key], now) {
			m.hand++
			continue
		}
		delete(m.keys, key)
		m.ring[m.hand] = m.ring[last]
		clear(m.ring[last:])
		m.ring = m.ring[:last]
		some = true
	}
	if small, ok := shrunk(m.keys, m.peak); ok {
		m.keys, m.peak = small, len(small)
		m.ring = append(make([]K, 0, len(m.ring)), m.ring...)
	}
	return some
}
