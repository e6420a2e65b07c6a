package limit

import (
	"container/list"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// DefaultKeys is how many keys a table of buckets knows apart.
const DefaultKeys = 65_536

// evictTries is how many of the longest unused keys a new one may look at.
const evictTries = 4

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
// It keeps a bounded number of keys. A key is forgotten when a new one needs the
// room and its bucket is full again, so that nothing is lost. Where there is none
// such, all new keys share one bucket until there is, and begin with what is left
// in it: nobody escapes a limit by coming from very many addresses, no key gets
// more than its rate, and the known ones are not disturbed.
type Buckets[K comparable] struct {
	max int
	mu  struct {
		sync.Mutex
		keys   map[K]*list.Element // of *bucket[K]
		used   *list.List          // the bucket used last in front
		shared *rate.Limiter
	}
}

type bucket[K comparable] struct {
	key K
	lim *rate.Limiter
}

// NewBuckets returns a table of at most maxKeys keys; 0 or less is [DefaultKeys].
func NewBuckets[K comparable](maxKeys int) *Buckets[K] {
	if maxKeys <= 0 {
		maxKeys = DefaultKeys
	}
	b := &Buckets[K]{max: maxKeys}
	b.mu.keys = make(map[K]*list.Element)
	b.mu.used = list.New()
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
	if el := b.mu.keys[key]; el != nil {
		b.mu.used.MoveToFront(el)
		return el.Value.(*bucket[K]).lim
	}
	if len(b.mu.keys) >= b.max && !b.evictLocked(now) {
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
	b.mu.keys[key] = b.mu.used.PushFront(&bucket[K]{key, lim})
	return lim
}

func newLimiter(r Rate) *rate.Limiter { return rate.NewLimiter(rate.Limit(r.PerSecond), r.burst()) }

// evictLocked forgets a key whose bucket is full, of those that were not used for
// the longest time.
func (b *Buckets[K]) evictLocked(now time.Time) bool {
	el := b.mu.used.Back()
	for range evictTries {
		if el == nil {
			return false
		}
		old := el.Value.(*bucket[K])
		if old.lim.TokensAt(now) >= float64(old.lim.Burst()) {
			b.mu.used.Remove(el)
			delete(b.mu.keys, old.key)
			return true
		}
		el = el.Prev()
	}
	return false
}
