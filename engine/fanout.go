package engine

import (
	"math"
	"math/bits"

	"github.com/spatehub/spate/engine/internal/topics"
)

// This file is the hot path: a batch of ring entries goes out to the shard's
// clients, one write each however many events are pending.

// deliver brings the events from..to to the shard's clients and returns the
// last one dealt with. Not more than one fan-out is done per call, so that
// what clients and transports ask for is never more than that late; or, where what waits for
// patient clients goes with it, some more (see patience.go). Where not even
// that is, because the marks of a large audience go on in the next pass, it returns
// the position before from.
func (s *shard) deliver(from, to position) position {
	to, r := s.cut(from, to)
	passes := s.holdBack(from, to, r)
	if r.some && from == to && !s.markLarge(from) {
		return from - 1
	}
	s.high = point{to, s.hub.slot(to).upTo()}
	s.fanOut(from, to, r, passes)
	s.account(from, to)
	if r.some && (passes == 0 || len(s.books.clients) > s.books.patient) {
		s.offered(from)
	}
	if s.patience.due {
		s.letGo()
	}
	return to
}

// fanOut offers the run from..to, as cut returned it, to all clients but those in states
// that are passed over.
func (s *shard) fanOut(from, to position, r runCut, passes states) {
	s.fan.passes = passes
	switch {
	case !r.some:
	case r.masked:
		s.fanOutMasked(from, to)
	default:
		s.fanOutAll(from, to)
	}
	s.flushWrites()
}

// runCut is what cut finds out about a run.
type runCut struct {
	some    bool // an event in it concerns the shard
	masked  bool // one of these is not for everybody
	private bool // one is for users
	urgent  bool // one waits for nobody
	n       int  // how many concern the shard
	size    int  // their frames' bytes
}

// cut shortens the run from..to to what one fan-out takes.
func (s *shard) cut(from, to position) (last position, r runCut) {
	marks := 0
	for seq := from; ; seq++ {
		e := s.hub.slot(seq)
		if !e.failed && e.mask&s.bit != 0 {
			targeted := e.private || e.topic != ""
			n := int(seq - from)
			if targeted && n >= maskedBatch || r.masked && n >= maskedBatch {
				return seq - 1, r
			}
			if e.crowd != nil {
				marks += s.markCostOf(e)
				switch large := s.isLarge(e); {
				case large && seq == from:
					return seq, runCut{some: true, masked: true, private: true, n: 1}
				case large, marks > s.hub.cfg.marks && r.some:
					return seq - 1, r
				}
			}
			size := len(e.frame())
			if r.size+size > sendBytes && r.some {
				return seq - 1, r
			}
			r.size += size
			r.masked = r.masked || targeted
			r.private = r.private || e.private
			r.urgent = r.urgent || e.urgent
			r.some = true
			r.n++
		}
		if seq == to || r.masked && seq-from == maskedBatch-1 {
			return seq, r
		}
	}
}

// fanOutAll sends a run of events that are all for everybody.
func (s *shard) fanOutAll(from, to position) {
	if !s.books.takesPublic() {
		return
	}
	s.fan.begin(s.hub.formsUsed())
	clients := s.books.clients
	for i, c := range clients {
		s.fan.fetch(clients, i)
		if c.only {
			continue
		}
		if s.fan.passes.has(c) {
			s.charge(passCost)
			continue
		}
		j := &s.fan.join[c.form]
		if j.len() == 0 {
			s.joinAll(j, c.form, from, to)
		}
		s.offer(c, j)
	}
}

// fetchAhead is of how many clients a walk over all of them reads before it comes to the
// first: each is somewhere else in memory, and a processor waits for many places in the
// time that it waits for one, if nothing that it has to know lies between.
const fetchAhead = 16

// fetch is called by a walk over clients at each of them. Nobody leaves on the way.
func (f *fan) fetch(clients []*client, i int) {
	if i%fetchAhead != 0 {
		return
	}
	for _, c := range clients[i:min(i+fetchAhead, len(clients))] {
		f.read += c.state
	}
}

// fetchMembers is fetch for those who follow a topic.
func (f *fan) fetchMembers(members []topics.Entry[*client], i int) {
	if i%fetchAhead != 0 {
		return
	}
	for _, m := range members[i:min(i+fetchAhead, len(members))] {
		f.read += m.Member.state
	}
}

// joinAll joins the run's events in the form.
func (s *shard) joinAll(j *joined, f Form, from, to position) {
	if f.coded() {
		s.joinCoded(j, f, from, to, 0, true)
		return
	}
	for seq := from; ; seq++ {
		if e := s.hub.slot(seq); !e.failed && e.mask&s.bit != 0 {
			j.addEntry(seq, e, f)
		}
		if seq == to {
			return
		}
	}
}

// fanOutMasked sends a run in which some events are for some clients only.
// Each client gets a bit per event; clients with the same bits share one run.
func (s *shard) fanOutMasked(from, to position) {
	everybody := s.mark(from, to)
	s.fan.variant.reset()
	s.fan.coded.reset()
	if everybody != 0 {
		clients := s.books.clients
		for i, c := range clients {
			s.fan.fetch(clients, i)
			marked := c.bits
			if !c.only {
				marked |= everybody
			}
			if marked == 0 {
				continue
			}
			if !s.fan.passes.has(c) {
				s.offer(c, s.variantFor(from, to, variant{marked, c.form}))
			}
			c.bits = 0
		}
	} else {
		for _, c := range s.fan.touched {
			if c.bits != 0 && !s.fan.passes.has(c) { // no bits: it has gone since it was marked
				s.offer(c, s.variantFor(from, to, variant{c.bits, c.form}))
			}
			c.bits = 0
		}
	}
	s.fan.untouch()
	s.marking = marking{}
}

// mark sets each client's bits and returns those of the events for everybody.
func (s *shard) mark(from, to position) (everybody uint64) {
	for seq := from; ; seq++ {
		e := s.hub.slot(seq)
		if !e.failed && e.mask&s.bit != 0 {
			bit := uint64(1) << (seq - from)
			switch {
			case e.private && e.crowd == nil:
				if !s.markUser(e, e.one[0], bit) {
					s.hub.tellFailed(e.one[0], e)
				}
			case e.private:
				if s.marking.next == 0 { // else it is marked
					s.markCrowd(e, bit, 0, math.MaxInt)
				}
			case e.topic != "":
				s.markTopic(e.topic, bit)
			default:
				everybody |= bit
			}
		}
		if seq == to {
			return everybody
		}
	}
}

// markTopic marks the connections that follow the topic, by itself or by a
// pattern.
func (s *shard) markTopic(name string, bit uint64) {
	sets := s.books.following(name)
	for _, set := range sets {
		members := set.Entries()
		for i, member := range members {
			s.fan.fetchMembers(members, i)
			s.fan.touch(member.Member, bit)
			s.spend(lookCost)
		}
	}
	clear(sets)
}

// markUser marks the user's connections. It returns whether there is one that is
// entitled.
func (s *shard) markUser(e *entry, uid string, bit uint64) (found bool) {
	s.spend(markCost)
	for c := s.books.users.Get(uid); c != nil; c = s.books.older(c) {
		s.spend(lookCost)
		if c.wish().Takes(e.topic, true) {
			s.fan.touch(c, bit)
			found = true
		}
	}
	if !found {
		s.n[nPushed]++
		s.n[nNoReceiver]++
	}
	return found
}

// variantFor returns the run of the marked events, joining it if need be.
func (s *shard) variantFor(from, to position, v variant) *joined {
	j, ok := s.fan.variant.find(v)
	if ok {
		return j
	}
	if j == nil {
		s.flushWrites() // it may have the run that is replaced
		j = s.fan.variant.replace(v)
	}
	if v.form.coded() {
		s.joinCoded(j, v.form, from, to, v.bits, false)
		return j
	}
	for m := v.bits; m != 0; m &= m - 1 {
		seq := from + position(bits.TrailingZeros64(m))
		j.addEntry(seq, s.hub.slot(seq), v.form)
	}
	return j
}

// offer gives a run of events to one client: into its sink if it is live, else
// it waits in the window or, for a client that reads the log, there.
func (s *shard) offer(c *client, j *joined) {
	switch c.state {
	case stateLive, statePatient:
		if c.barred() {
			s.refuse(c, j)
			return
		}
		s.writeLive(c, j)
	case stateLagging:
		s.enqueue(c, j)
	}
}

// account lets the events that were not private know whether this shard had a
// receiver; the last shard to say so settles those without any.
func (s *shard) account(from, to position) {
	s.charge(lookCost * int(to-from+1))
	for seq := from; ; seq++ {
		e := s.hub.slot(seq)
		if !e.failed && !e.private {
			got := s.books.takesPublic()
			if e.topic != "" {
				got = s.books.takesTopic(e.topic)
			}
			delta := ^uint64(0) // minus one
			if got {
				delta += tallyReceiver
			}
			if sum := e.tally.Add(delta); uint32(sum) == 0 && sum>>32 == 0 {
				s.n[nPushed]++
				s.n[nNoReceiver]++
			}
		}
		if seq == to {
			return
		}
	}
}
