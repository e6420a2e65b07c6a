package engine

import "sync/atomic"

// counters are a shard's counts of one pass, kept by its runner alone.
type counters struct {
	pushed, delivered, dropped, timedOut, failed, conflated, noReceiver uint64
	resent, gaps, behind, heartbeats                                    uint64
	ends                                                                [endings]uint64
}

// sharedCounters publish a shard's counts to Stats. Only the shard's runner
// writes them, once a pass, and each shard has its own cache lines, so that
// counting moves no line between processors.
type sharedCounters struct {
	_                                                                   [64]byte
	pushed, delivered, dropped, timedOut, failed, conflated, noReceiver atomic.Uint64
	resent, gaps, behind, heartbeats                                    atomic.Uint64
	ends                                                                [endings]atomic.Uint64
	clients, stalled, catchingUp                                        atomic.Int64
	reached, oldest                                                     atomic.Uint64 // IDs: the shard's, and that after which its window has everything
	_                                                                   [64]byte
}

// publishCounters adds the pass's counts to what Stats reads.
func (s *shard) publishCounters() {
	n, c := &s.n, &s.c
	if *n != (counters{}) {
		c.pushed.Add(n.pushed)
		c.delivered.Add(n.delivered)
		c.dropped.Add(n.dropped)
		c.timedOut.Add(n.timedOut)
		c.failed.Add(n.failed)
		c.conflated.Add(n.conflated)
		c.noReceiver.Add(n.noReceiver)
		c.resent.Add(n.resent)
		c.gaps.Add(n.gaps)
		c.behind.Add(n.behind)
		c.heartbeats.Add(n.heartbeats)
		for i := range n.ends {
			if n.ends[i] != 0 {
				c.ends[i].Add(n.ends[i])
			}
		}
		*n = counters{}
	}
	c.clients.Store(int64(len(s.clients) + s.leaving))
	show(&c.reached, s.high.id)
	show(&c.oldest, s.oldestID())
	if len(s.laggards) == 0 && s.lagShown {
		s.showLaggards()
	}
}

// show publishes an ID that only the shard's runner writes; to look is cheaper.
func show(to *atomic.Uint64, id eventID) {
	if eventID(to.Load()) != id {
		to.Store(uint64(id))
	}
}

// showLaggards publishes how many clients are in trouble. It looks at all of
// them, so it is done once a tick and when there are none any more.
func (s *shard) showLaggards() {
	var stalled, catching int64
	for _, c := range s.laggards {
		if c.blocked {
			stalled++
		}
		if c.state == stateBehind {
			catching++
		}
	}
	s.c.stalled.Store(stalled)
	s.c.catchingUp.Store(catching)
	s.lagShown = len(s.laggards) > 0
}

// Stats returns the hub's counters. It takes no lock and may be called at any
// rate.
func (h *Hub) Stats() Stats {
	newest := h.latest()
	st := Stats{
		Events:        uint64(newest.pos - h.origin.pos),
		LogFailed:     h.logFailed.Load(),
		CallbacksLost: h.notices.lost.Load(),
		RingSize:      h.ring.Cap(),
		LastEventID:   uint64(newest.id),
	}
	slowest := newest.pos
	var ends [endings]uint64
	for _, s := range h.shards {
		c := &s.c
		st.Pushed += c.pushed.Load()
		st.Delivered += c.delivered.Load()
		st.Dropped += c.dropped.Load()
		st.TimedOut += c.timedOut.Load()
		st.Failed += c.failed.Load()
		st.Conflated += c.conflated.Load()
		st.NoReceiver += c.noReceiver.Load()
		st.Resent += c.resent.Load()
		st.Gaps += c.gaps.Load()
		st.Behind += c.behind.Load()
		st.Heartbeats += c.heartbeats.Load()
		for i := range ends {
			ends[i] += c.ends[i].Load()
		}
		st.Clients += int(c.clients.Load())
		st.Stalled += int(c.stalled.Load())
		st.CatchingUp += int(c.catchingUp.Load())
		st.LastEventID = min(st.LastEventID, c.reached.Load())
		if at := s.cursor(); at.before(slowest) {
			slowest = at
		}
	}
	st.Ends = endsOf(&ends)
	st.RingUsed = uint64(newest.pos - slowest)
	if done := st.Delivered + st.Dropped + st.TimedOut + st.Failed + st.Conflated + st.NoReceiver; done < st.Pushed {
		st.Pending = st.Pushed - done
	}
	return st
}
