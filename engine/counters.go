package engine

import "sync/atomic"

// count is what a shard counts; see Stats.counted for the names. From nDelivered to
// nNoReceiver it is what became of those pushed.
type count uint8

const (
	nPushed count = iota
	nDelivered
	nDropped
	nTimedOut
	nFailed
	nConflated
	nNoReceiver
	nResent
	nGaps
	nBehind
	nHeartbeats
	nSentBytes
	nEnds                              // and an ending
	numCounts = nEnds + count(endings) // their number
)

// counted is where the counts are shown, by the count: the one list that names them.
func (st *Stats) counted() [numCounts]*uint64 {
	return [numCounts]*uint64{
		nPushed:     &st.Pushed,
		nDelivered:  &st.Delivered,
		nDropped:    &st.Dropped,
		nTimedOut:   &st.TimedOut,
		nFailed:     &st.Failed,
		nConflated:  &st.Conflated,
		nNoReceiver: &st.NoReceiver,
		nResent:     &st.Resent,
		nGaps:       &st.Gaps,
		nBehind:     &st.Behind,
		nHeartbeats: &st.Heartbeats,
		nSentBytes:  &st.SentBytes,

		nEnds + count(endHangup):   &st.Ends.Hangup,
		nEnds + count(endOverflow): &st.Ends.Overflow,
		nEnds + count(endStalled):  &st.Ends.Stalled,
		nEnds + count(endWrite):    &st.Ends.WriteError,
		nEnds + count(endHistory):  &st.Ends.History,
		nEnds + count(endClosed):   &st.Ends.Closed,
		nEnds + count(endExpired):  &st.Ends.Expired,
		nEnds + count(endRevoked):  &st.Ends.Revoked,

		nEnds + count(endReconnect): &st.Ends.Reconnect,
	}
}

// counters are a shard's counts, those of one pass kept by its runner alone.
type counters [numCounts]uint64

// settled is how many of those pushed have come to their end.
func (n *counters) settled() (sum uint64) {
	for i := nDelivered; i <= nNoReceiver; i++ {
		sum += n[i]
	}
	return sum
}

// sharedCounters publish a shard's counts to Stats. Only the shard's runner
// writes them, once a pass, and each shard has its own cache lines, so that
// counting moves no line between processors.
type sharedCounters struct {
	_                                  [64]byte
	n                                  [numCounts]atomic.Uint64
	clients, stalled, catchingUp, late atomic.Int64
	reached, oldest                    atomic.Uint64 // IDs: the shard's, and that after which its window has everything
	_                                  [64]byte
}

// add publishes the counts of a pass.
func (c *sharedCounters) add(n *counters) {
	for i := range n {
		if n[i] != 0 {
			c.n[i].Add(n[i])
		}
	}
}

// counts returns what has been published.
func (c *sharedCounters) counts() (n counters) {
	for i := range n {
		n[i] = c.n[i].Load()
	}
	return n
}

// publishCounters adds the pass's counts to what Stats reads.
func (s *shard) publishCounters() {
	c := &s.c
	if s.n != (counters{}) {
		c.add(&s.n)
		s.n = counters{}
	}
	c.clients.Store(int64(len(s.books.clients) + s.troubled.leaving))
	show(&c.reached, s.high.id)
	show(&c.oldest, s.oldestID())
	if len(s.troubled.list) == 0 && s.troubled.shown {
		s.showLaggards()
	}
	for ; s.parted > 0; s.parted-- { // last: who finds them gone finds them counted
		s.hub.life.part()
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
	stalled, catching, late := s.troubled.count()
	s.c.stalled.Store(stalled)
	s.c.catchingUp.Store(catching)
	s.c.late.Store(late)
	s.troubled.shown = len(s.troubled.list) > 0
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
	var sum counters
	for _, s := range h.shards {
		c := &s.c
		for i, n := range c.counts() {
			sum[i] += n
		}
		st.Clients += int(c.clients.Load())
		st.Stalled += int(c.stalled.Load())
		st.CatchingUp += int(c.catchingUp.Load())
		st.Late += int(c.late.Load())
		st.LastEventID = min(st.LastEventID, c.reached.Load())
		if at := s.cursor(); at.before(slowest) {
			slowest = at
		}
	}
	for i, field := range st.counted() {
		*field = sum[i]
	}
	st.RingUsed = uint64(newest.pos - slowest)
	if done := sum.settled(); done < st.Pushed {
		st.Pending = st.Pushed - done
	}
	return st
}
