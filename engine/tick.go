package engine

import "time"

var heartbeat = newWord([]byte(":\n"))

// The hub's clock ticks in this range; heartbeats, retries and stall time-outs
// are counted in ticks, so that a delivery never reads a clock.
const (
	minPeriod = 5 * time.Millisecond
	maxPeriod = 250 * time.Millisecond
)

// tickPeriod returns a period fine enough for all that is timed by it.
func tickPeriod(c *config) time.Duration {
	p := min(maxPeriod, c.timeout/time.Duration(4*c.tries))
	if c.heartbeat > 0 {
		p = min(p, c.heartbeat/8)
	}
	if c.stall > 0 {
		p = min(p, c.stall/8)
	}
	return max(p, minPeriod)
}

// runClock is the ticker's goroutine; it ends with the hub.
func (h *Hub) runClock() {
	defer h.work.Done()
	t := time.NewTicker(h.period)
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			h.pace.look(now)
			for _, s := range h.shards {
				s.ticks.Add(1)
				s.wake()
			}
		case <-h.life.stop:
			return
		}
	}
}

// onTick does what time asks for: heartbeats for a share of the clients, and that
// those in trouble are looked at.
func (s *shard) onTick(now uint32) {
	if beat := s.hub.beatTicks; beat > 0 {
		for s.tick != now {
			s.tick++
			s.heartbeats(beat)
		}
		s.closeDoomed() // before anything else is written to them
	}
	s.tick = now
	if s.sweep == 0 {
		s.sweep = len(s.laggards)
	}
}

// sweepLaggards looks at the clients in trouble once for each tick, or as often as
// it gets round, for a bounded cost. It returns whether some are left.
func (s *shard) sweepLaggards() (more bool) {
	if s.sweep == 0 {
		return false
	}
	for end := s.cost + s.hub.cfg.sweep; s.sweep > 0; {
		if s.cost >= end {
			return true
		}
		if s.sweep--; s.sweep < len(s.laggards) { // a look may end or heal several
			s.spend(lookCost)
			s.tickLag(s.laggards[s.sweep], s.tick)
		}
	}
	s.showLaggards()
	return false
}

// tickLag retries, times out, or closes one client in trouble.
func (s *shard) tickLag(c *client, now uint32) {
	if c.state == stateLeaving {
		if !before32(now, c.lag.leave.until) {
			s.close(c, ErrStalled)
		}
		return
	}
	if c.blocked && c.stallFor > 0 && !before32(now, c.lag.stallTick+c.stallFor) {
		s.close(c, ErrStalled)
		return
	}
	s.retry(c)
	if c.state == stateBehind && !c.blocked && c.lag.history.due(now) {
		s.proceed(c)
	}
}

// heartbeats sends a comment to idle clients. Each client is looked at once
// per half interval, in a tick given by its index, which spreads the load; it
// gets a comment if it would otherwise be silent for longer than the interval.
func (s *shard) heartbeats(interval uint32) {
	half := max(1, interval/2)
	for i := int(s.tick % half); i < len(s.clients); i += int(half) {
		c := s.clients[i]
		if c.state != stateLive || s.tick-c.wroteTick+half <= interval {
			continue
		}
		beat := s.word(&heartbeat, c.form)
		n, err := s.write(c, beat)
		s.n[nHeartbeats]++
		switch {
		case err != nil:
			s.doom(c, err)
		case n < len(beat):
			c.pos = s.cursor()
			s.startLag(c, stateLagging).seen = s.high
			s.keepRest(c, beat[n:])
			c.full()
		default:
			c.wroteTick = s.tick
		}
		s.yield()
	}
}
