package engine

import (
	"strings"

	"github.com/spatehub/spate/persist"
)

// history is a client's reading of the log. The shard asks the catch-up
// readers for one segment at a time and drops it as soon as the sink is full:
// a slow client costs no page, only another look at the shared ones.
type history struct {
	c    *client
	seen point // events ≤ seen are counted as pushed to the client

	started bool // the first page, a small one, was read; the readers'
	asked   bool // a reader has the request; result is the reader's
	after   eventID
	result  *segment // set by the reader before it raises attendPage: found
	segment *segment // arrived, the shard's: found
	found   segment  // empty while neither points to it

	sought sought // the readers'

	private *page // the user's own events around the position; the readers' between ask and arrival

	failures int
	retryAt  uint32 // tick at which to go on; 0: not waiting

	turn fairNode // its place among all who read; under catchup's lock

	kept keptEvents // under conflation: the newest of each key, not yet sent
}

// segment is what a reader found: everything for the client after the asked
// position and up to upTo.
type segment struct {
	public  *page // shared with other clients
	private *page // the user's own, nil where public holds all kinds
	mixed   bool  // public holds all kinds of events: filter each
	floor   eventID
	upTo    eventID
	err     error
}

// sought is what a client's readings look for.
type sought struct {
	topics []string // its own, sorted
	kind   string   // names in the cache the pages that it shares
}

// soughtTopics is up to how many topics a client keeps what it looks for from one
// reading to the next.
const soughtTopics = 8

// seeks returns what the readings look for.
func (h *history) seeks() sought {
	if h.sought.kind != "" {
		return h.sought
	}
	topics := h.c.topicNames()
	kind := "\x00"
	if h.c.only {
		kind = "\x01"
	}
	w := sought{topics, kind + strings.Join(topics, "\x00")}
	if len(topics) <= soughtTopics {
		h.sought = w
	}
	return w
}

func newHistory(c *client, seen point) *history { return &history{c: c, seen: seen} }

// arrived takes over what the reader found.
func (h *history) arrived() {
	if h.asked && h.result != nil {
		h.segment, h.result, h.asked = h.result, nil, false
	}
}

// wait has the clock ask again, at a tick.
func (h *history) wait(until uint32) { h.retryAt = max(until, 1) }

// due says whether it is time to ask again.
func (h *history) due(now uint32) bool {
	if h.retryAt == 0 || before32(now, h.retryAt) {
		return false
	}
	h.retryAt = 0
	return true
}

// maxIdlePage is the cost up to which a client keeps its private page from one
// segment to the next. It is mostly an empty one that reaches far.
const maxIdlePage = 2 << 10

// maxHistoryFailures bounds how often a log that fails is tried for a client.
const maxHistoryFailures = 5

// readOn moves a client that is behind on by one segment. It returns whether
// to go on at once.
func (s *shard) readOn(c *client) bool {
	h := c.lag.history
	if h.kept.flushing {
		return s.sendKept(c)
	}
	seg := h.segment
	if seg == nil {
		if !h.asked && h.retryAt == 0 && s.mayRead(c) {
			h.asked, h.after = true, c.id
			s.hub.catchup.ask(h)
		}
		return false
	}
	h.segment = nil
	onward := s.readSegment(c, h, seg)
	if h.segment == nil {
		h.found = segment{} // a client that waits keeps no page
	}
	return onward
}

// readSegment is readOn with a segment that arrived.
func (s *shard) readSegment(c *client, h *history, seg *segment) bool {
	if p := h.private; p != nil && p.cost("") > maxIdlePage {
		h.private = nil // it would wait with the client for its next turn
	}
	if seg.err != nil {
		return s.readFailed(c, seg.err)
	}
	h.failures = 0
	// The log may be ahead of this shard: what the shard has not reached will
	// come live, so the reading ends where the shard is.
	seg.upTo, seg.floor = min(seg.upTo, s.high.id), min(seg.floor, s.high.id)
	if h.kept.bytes > 0 && c.id < seg.floor {
		// What was kept is older than the gap to be told: first things first.
		h.kept.flushing = true
		return true
	}
	if c.id < seg.floor {
		s.lose(c, c.id, seg.floor)
		c.id = seg.floor
	}
	if c.lag.gap.told {
		s.tellGap(c)
		if !s.flushRest(c) {
			return false
		}
	}
	s.bound(c, seg)
	if c.conflate {
		s.eachRecord(c, seg, func(p *page, i int) { s.keep(c, p, i) })
		h.kept.flushing = h.kept.bytes > s.mayKeep(c)
	} else if j, upTo := s.segmentRun(c, seg); j.len() > 0 && !s.send(c, j) {
		return false
	} else if upTo < seg.upTo {
		c.id, h.segment = upTo, seg
		if s.mailSpent() {
			c.attend(attendMore) // others first
			return false
		}
		return true
	}
	c.id = max(c.id, seg.upTo)
	if c.id >= s.oldestID() {
		if h.kept.bytes > 0 {
			h.kept.flushing = true
			return true
		}
		c.pos = s.placeOf(c)
		s.enterWindow(c, h.seen)
		return true
	}
	if c.id == h.after {
		// Nothing came, and yet the window is not reached: the log lags behind
		// the ring, or does not keep what it took. Not to be asked in a loop.
		h.wait(s.tick + 1)
		return false
	}
	return true
}

// readFailed tries again later, or gives up: the client will come back and
// resume. It returns whether to go on at once.
func (s *shard) readFailed(c *client, err error) bool {
	h := c.lag.history
	h.failures++
	s.hub.cfg.logger.Error("spate: reading history failed", "uid", c.uid, "after", uint64(c.id), "try", h.failures, "err", err)
	if h.failures >= maxHistoryFailures {
		s.dismiss(c, ErrHistory)
		return true
	}
	h.wait(s.tick + s.hub.tryTicks)
	return false
}

// segmentRun returns the segment's events for the client as one run, and the ID up to
// which it has them: in a coded form it may end before the segment does. Where they are
// all in the shared page, it is sent as it lies there.
func (s *shard) segmentRun(c *client, seg *segment) (j *joined, upTo eventID) {
	g := &s.gathered.run
	g.begin(c.form)
	if c.form.coded() {
		upTo = s.codedSegment(c, seg)
		return s.gatheredRun(), upTo
	}
	if own := seg.own(c.id); !seg.mixed && own.empty() {
		public, t := seg.public.within(c.id, seg.upTo), seg.public.in(c.form)
		g.share(t.data, t.parts, public.from, public.to)
		return &g.joined, seg.upTo
	}
	s.eachRecord(c, seg, func(p *page, i int) { g.put(point{id: eventID(p.records[i].ID)}, p.frame(i, c.form), false) })
	return s.gatheredRun(), seg.upTo
}

// gatheredRun is the run that was gathered, whose coding is counted.
func (s *shard) gatheredRun() *joined {
	j := s.gathered.run.finish()
	s.spend(s.gathered.run.cost)
	return j
}

// eachRecord calls fn for the segment's events for the client, in ID order: record i
// of the page.
func (s *shard) eachRecord(c *client, seg *segment, fn func(p *page, i int)) {
	wish := c.wish()
	for rest := seg.unread(c.id); !rest.empty(); {
		p, i := rest.next()
		r := &p.records[i]
		s.spend(recordCost(r))
		if wish.Admits(whomOf(r)) {
			fn(p, i)
		}
	}
}

// recordCost is what a look at whether the record is for a client costs: its users are
// looked through.
func recordCost(r *persist.Record) int { return lookCost + len(r.Users) }

// unread is what of a segment is still to be looked at, in ID order.
type unread struct {
	seg         *segment
	public, own span
}

func (seg *segment) unread(after eventID) unread {
	return unread{seg, seg.public.within(after, seg.upTo), seg.own(after)}
}

func (u *unread) empty() bool { return u.public.empty() && u.own.empty() }

// ownAfter says whether the user's own records come after record i of the shared
// page.
func (u *unread) ownAfter(i int) bool {
	return u.own.empty() || u.seg.private.records[u.own.from].ID > u.seg.public.records[i].ID
}

// next returns the next record: that of index i in p.
func (u *unread) next() (p *page, i int) {
	p, from := u.seg.public, &u.public
	if from.empty() || !u.ownAfter(from.from) {
		p, from = u.seg.private, &u.own
	}
	i = from.from
	from.from++
	return p, i
}

// own returns the user's own records after an ID.
func (seg *segment) own(after eventID) span {
	if seg.private == nil {
		return span{}
	}
	return seg.private.within(after, seg.upTo)
}
