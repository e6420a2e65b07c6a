package engine

import "time"

// maxCatchUpRate bounds what a bound may be: beyond it, it binds nobody.
const maxCatchUpRate = 1 << 30

// WithCatchUpRate bounds the bytes a second that one connection is sent while it
// reads the log (0: the default, no bound). What is above it waits for the hub's
// clock; nobody else does, and no page is held meanwhile. At once come at most what
// two seconds give, or one event that is larger, which is made up for. What a
// connection gets from the ring, live or from recent history, does not count.
//
// A rate below that of the events themselves is one at which nobody catches up.
func WithCatchUpRate(bytesPerSecond int) HubOption {
	return func(c *config) { c.catchUpRate = bytesPerSecond }
}

// SetCatchUpRate is [WithCatchUpRate] for a hub that runs, and for the connections
// that it has. It may be called by many goroutines at once.
func (h *Hub) SetCatchUpRate(bytesPerSecond int) {
	h.catchUpRate.Store(int64(min(max(bytesPerSecond, 0), maxCatchUpRate)))
}

// allowance is what a connection may still be sent from the log. It is a bucket that
// holds what a second gives. A reading begins while there is something in it, and may
// take more: that is a debt.
type allowance struct {
	bytes float64
	tick  uint32 // up to which it was filled
	begun bool
}

// fill adds what the ticks since have given.
func (a *allowance) fill(rate float64, now uint32, period time.Duration) {
	if !a.begun {
		a.begun, a.bytes = true, rate
	} else if since := now - a.tick; since > 0 {
		a.bytes = min(rate, a.bytes+rate*(time.Duration(since)*period).Seconds())
	}
	a.tick = now
}

// mayRead says whether the client may be sent more from the log now. If not, the
// clock brings it back.
func (s *shard) mayRead(c *client) bool {
	a, rate := &c.lag.allowance, float64(s.hub.catchUpRate.Load())
	if rate == 0 {
		*a = allowance{}
		return true
	}
	a.fill(rate, s.tick, s.hub.period)
	if a.bytes > 0 {
		return true
	}
	// No longer than a second, as the rate may become another.
	debt := min(time.Second, time.Duration(-a.bytes/rate*float64(time.Second)))
	c.lag.history.wait(s.tick + s.hub.ticksOf(debt+1))
	return false
}

// catchUpBytes is the most that one reading returns: under a bound as much as a
// second gives, so that little is read which may not be sent.
func (h *Hub) catchUpBytes(bytes int) int {
	if rate := h.catchUpRate.Load(); rate > 0 {
		return int(min(int64(bytes), rate))
	}
	return bytes
}

// bound ends a segment where it has more than a second gives: its page may be one that
// others share, of when there was no bound, and the client's own events come beside it.
func (s *shard) bound(c *client, seg *segment) {
	rate := int(s.hub.catchUpRate.Load())
	if rate == 0 {
		return
	}
	upTo, bytes := c.id, 0
	for rest := seg.unread(c.id); !rest.empty(); {
		p, i := rest.next()
		r := &p.records[i]
		s.spend(lookCost)
		if bytes += len(r.Frame); bytes > rate && upTo != c.id {
			seg.upTo = upTo
			return
		}
		upTo = eventID(r.ID)
	}
}

// mayKeep is how many bytes a conflating client keeps of what it has read: no more
// than it may be sent.
func (s *shard) mayKeep(c *client) int {
	if s.hub.catchUpRate.Load() > 0 {
		return int(min(maxKeptBytes, max(0, c.lag.allowance.bytes)))
	}
	return maxKeptBytes
}
