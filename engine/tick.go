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

// onTick does what time asks for: that a share of the clients is looked at for
// heartbeats, and those in trouble.
func (s *shard) onTick(now uint32) {
	s.tick = now
	s.dueAged()
	s.measureRing()
	s.troubled.startSweep()
}

// sweepLaggards looks at the clients in trouble once for each tick, or as often as
// it gets round, for a bounded cost. It returns whether some are left.
func (s *shard) sweepLaggards() (more bool) {
	if s.troubled.sweep == 0 {
		return false
	}
	for end := s.until(s.hub.cfg.sweep); s.troubled.sweep > 0; {
		if s.reached(end) {
			return true
		}
		if c := s.troubled.nextSwept(); c != nil {
			s.spend(lookCost)
			s.tickLag(c, s.tick)
		}
	}
	s.showLaggards()
	return false
}

// tickLag retries, times out, or closes one client in trouble.
func (s *shard) tickLag(c *client, now uint32) {
	s.measureLag(c)
	if c.state == stateLeaving {
		if !before32(now, c.lag.leaving.until) {
			s.close(c, ErrStalled)
		}
		return
	}
	if c.lag.stall.expired(now, c.stallFor) {
		s.close(c, ErrStalled)
		return
	}
	if c.doomed {
		return
	}
	s.retry(c)
	if c.state == stateBehind && !c.full() && c.lag.history.due(now) {
		s.proceed(c)
	}
	if c.state == stateBehind && !c.full() && !c.owes() && s.hub.beatTicks > 0 && !before32(now, c.wroteTick+s.hub.beatTicks) {
		s.n[nHeartbeats]++ // it waits for the log, or for its turn
		s.keepRest(c, s.word(&heartbeat, c.form))
		s.flushRest(c)
	}
}

// beating is how far the looks at idle clients have got, one for each tick.
type beating struct {
	tick  uint32 // whose look is under way, or done
	share uint32 // which of half an interval's shares of the clients that is for
	next  int    // the index of the client that is next
}

// heartbeats sends a comment to idle clients. Each client is looked at once
// per half interval, with a share given by its index, which spreads the load; it
// gets a comment if it would otherwise be silent for longer than the interval. It does
// so for a bounded cost, goes on where it left off, and returns whether some are left
// of the ticks so far.
func (s *shard) heartbeats() (more bool) {
	interval, b := s.hub.beatTicks, &s.beats
	if interval == 0 {
		return false
	}
	half := max(1, interval/2)
	for end := s.until(s.hub.cfg.sweep); ; {
		if b.next >= len(s.books.clients) {
			if b.tick == s.tick {
				break
			}
			b.begin(s.tick, half)
			continue
		}
		if s.reached(end) {
			more = true
			break
		}
		c := s.books.clients[b.next]
		b.next += int(half)
		s.spend(lookCost)
		if c.live() && s.tick-c.wroteTick+half > interval {
			s.beat(c)
		}
	}
	s.flushWrites()
	s.closeDoomed()
	return more
}

// begin goes on to the next share, and to the tick after, not later than now. Where that
// is more than half an interval ago, ticks are left out, but no share.
func (b *beating) begin(now, half uint32) {
	if b.tick++; now-b.tick >= half {
		b.tick = now - half + 1
	}
	b.share = (b.share + 1) % half
	b.next = int(b.share)
}

// beat sends a comment to one.
func (s *shard) beat(c *client) {
	beat := s.word(&heartbeat, c.form)
	s.n[nHeartbeats]++
	if !c.form.coded() && s.addWrite(c, nil, beat) { // a coded one is good until the next word
		c.wroteTick = s.tick // the look may come to the client again before the batch goes
		return
	}
	n, err := s.write(c, beat)
	s.settleBeat(c, beat, n, err)
}

// settleBeat is told what a client took of a comment.
func (s *shard) settleBeat(c *client, beat []byte, n int, err error) {
	switch {
	case err != nil:
		s.setBack(c)
		s.doom(c, err)
	case n < len(beat):
		s.setBack(c)
		s.keepRest(c, beat[n:])
		c.filled()
	default:
		c.wroteTick = s.tick
	}
}

// before32 compares ticks on their circle.
func before32(a, b uint32) bool { return int32(a-b) < 0 }
