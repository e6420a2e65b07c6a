package check

import "github.com/spatehub/spate/loadtest/stamp"

// Outcome is what an event is to the stream that received it.
type Outcome uint8

// The outcomes. Live, Late, LateReplayed and Replayed are first receipts.
const (
	Live         Outcome = iota // as expected
	Late                        // after an event with a higher number: out of order
	LateReplayed                // both Late and Replayed
	Replayed                    // issued before the stream (re)joined: its delay says nothing
	Duplicate                   // received before
	Misaddressed                // for somebody else
	Unknown                     // for a lane or target that this run does not have
)

// Client checks one stream. It is for one goroutine at a time.
type Client struct {
	user       uint32
	firstTopic uint32
	topics     uint32 // the stream follows topics firstTopic, firstTopic+1... (modulo all)
	behind     int32  // cells in which something issued before the last join has not come yet
	joined     bool
	known      bool   // what had been issued when it joined last, and the cells' base is that
	skipped    bool   // since the last join something owed from before it was passed over
	sentAway   bool   // the server has told it not to come back
	retired    bool   // the tester has closed it for good, or until it begins anew
	missed     int64  // published while the stream was away and could not resume, in former absences
	cells      []cell // lane by lane: everyone, the user, the topics
}

// cell is what a stream has seen of one cell.
//
// Invariant: if from > 0, every number in [from, last] was received or is in a hole.
type cell struct {
	base  uint64 // last number issued when the stream joined or resumed
	from  uint64 // lowest number that last and holes account for; 0 = nothing seen since the stream joined without resuming
	last  uint64 // highest number seen, or base before any
	left  uint64 // 1 + the last number before the stream left to join again without resuming; 0 = it never did
	holes *holes // nil as long as nothing was passed over
}

// away is the range of numbers that were issued while the stream was away the last
// time, and are owed to nobody; it is empty if lo > hi.
func (x *cell) away() (lo, hi uint64) {
	if x.left == 0 {
		return 1, 0
	}
	if x.from > 0 {
		return x.left, x.from - 1
	}
	return x.left, x.base
}

// Clients makes the checkers of n streams out of one piece of memory. plan gives
// each stream's user and first topic; every stream follows topics topics.
func Clients(s Space, n, topics int, plan func(i int) (user, firstTopic uint32)) []Client {
	per := s.Lanes * (2 + topics)
	slab := make([]cell, n*per)
	list := make([]Client, n)
	for i := range list {
		user, first := plan(i)
		list[i] = Client{user: user, firstTopic: first, topics: uint32(topics), cells: slab[i*per : (i+1)*per : (i+1)*per]}
	}
	return list
}

// target is the index, in the ledger, of the stream's k-th target.
func (c *Client) target(s Space, k int) int {
	switch k {
	case 0:
		return 0
	case 1:
		return 1 + int(c.user)
	}
	return 1 + s.Users + (int(c.firstTopic)+k-2)%s.Topics
}

// slot is the reverse of target; false if the event is not for this stream.
func (c *Client) slot(s Space, kind stamp.Kind, index uint32) (int, bool) {
	switch kind {
	case stamp.Broadcast:
		return 0, true
	case stamp.User:
		return 1, index == c.user
	case stamp.Topic:
		k := index - c.firstTopic
		if index < c.firstTopic {
			k += uint32(s.Topics)
		}
		return 2 + int(k), k < c.topics
	}
	return 0, false
}

// each calls fn for every cell of the stream.
func (c *Client) each(s Space, fn func(x *cell, lane, target int)) {
	per := 2 + int(c.topics)
	for lane := range s.Lanes {
		for k := range per {
			if k == 1 && s.Users == 0 {
				continue
			}
			fn(&c.cells[lane*per+k], lane, c.target(s, k))
		}
	}
}

// Joined tells that the server has accepted the stream. resumed means that the
// stream named its last event, so that it is owed everything since; otherwise
// it is owed what is issued from now on.
func (c *Client) Joined(l *Ledger, resumed bool) {
	resumed = resumed && c.joined
	again := c.joined && !resumed && !c.retired
	knew := c.known
	c.joined, c.behind, c.skipped, c.known = true, 0, false, l.knows()
	c.each(l.Space, func(x *cell, lane, target int) {
		if again && (knew || x.from > 0) {
			if lo, hi := x.away(); lo <= hi {
				c.missed += int64(hi - lo + 1)
			}
			x.left = x.last + 1
		}
		if c.retired {
			x.left = 0
		}
		x.base = l.issued(lane, target)
		if !resumed {
			x.from, x.last = 0, x.base
			return
		}
		if x.from == 0 && knew {
			// Nothing seen yet, but what came since the first join is owed.
			x.from = x.last + 1
		}
		if x.last < x.base {
			c.behind++
		}
	})
	c.retired = false
}

// Skipped reports whether something issued before the last join was passed over
// since: a stream that is no longer behind has not caught up then.
func (c *Client) Skipped() bool { return c.skipped }

// Behind reports whether something issued before the last join is still owed.
func (c *Client) Behind() bool { return c.behind > 0 }

// Observe takes in one event of this run.
func (c *Client) Observe(l *Ledger, s *stamp.Stamp) Outcome {
	if s.Lane >= uint32(l.Lanes) {
		return Unknown
	}
	if _, ok := l.target(s.Kind, s.Index); !ok {
		return Unknown
	}
	k, mine := c.slot(l.Space, s.Kind, s.Index)
	if !mine {
		return Misaddressed
	}
	x := &c.cells[int(s.Lane)*(2+int(c.topics))+k]
	n := s.Seq
	if n != x.last+1 || x.from == 0 {
		return c.unexpected(l, x, n)
	}
	x.last = n
	if n > x.base {
		return Live
	}
	if n == x.base {
		c.behind--
	}
	return Replayed
}

// unexpected is the slow way of Observe: the first event, a hole, a late event
// or a double.
func (c *Client) unexpected(l *Ledger, x *cell, n uint64) Outcome {
	joining := x.from == 0
	if joining {
		if !c.known || n <= x.base {
			// On its way when the stream joined; what follows it is owed.
			x.last = n - 1
		}
		x.from = x.last + 1
	}
	switch {
	case n > x.last:
		if n > x.last+1 {
			if x.holes == nil {
				x.holes = &holes{}
			}
			x.holes.add(x.last+1, n-1, joining)
			c.skipped = c.skipped || x.last < x.base && !joining
		}
		wasBehind := x.last < x.base
		x.last = n
		if wasBehind && n >= x.base && c.behind > 0 {
			c.behind--
		}
		if n <= x.base {
			return Replayed
		}
		return Live
	case n < x.from && x.last < x.from:
		c.cameAfterAll(x, n)
		return Replayed // on its way when the stream joined first; nothing newer was seen since
	case x.holes.fill(n), n < x.from:
		c.cameAfterAll(x, n)
		if n <= x.base {
			return LateReplayed
		}
		return Late
	}
	return Duplicate
}

// cameAfterAll takes n out of what the stream has missed by being away.
func (c *Client) cameAfterAll(x *cell, n uint64) {
	if lo, hi := x.away(); n >= lo && n <= hi {
		c.missed--
	}
}

// SendAway tells that the server has told the stream not to come back: from then
// on it is owed nothing.
func (c *Client) SendAway() { c.sentAway = true }

// Retire tells that the tester has closed the stream: it is owed nothing any more,
// until it joins as a new one.
func (c *Client) Retire() { c.retired = true }

// Loss is what one or more streams never got of what they were owed.
type Loss struct {
	Passed uint64 // in holes: an event with a higher number came
	Tail   uint64 // nothing with a higher number came
	AtJoin uint64 // of Passed: before the first event seen after joining
	Away   uint64 // neither Passed nor Tail: published while streams were away and could not resume
	Frozen uint64 // of Passed: in cells with so many holes that late events and doubles may be mistaken for each other
}

// Total is how many events are lost.
func (l Loss) Total() uint64 { return l.Passed + l.Tail }

// Add adds o to l.
func (l *Loss) Add(o Loss) {
	l.Passed += o.Passed
	l.Tail += o.Tail
	l.AtJoin += o.AtJoin
	l.Away += o.Away
	l.Frozen += o.Frozen
}

// Finish tells what the stream is owed and does not have: lost, once nothing more
// is published or on its way. Numbers in v do not count. It changes nothing.
func (c *Client) Finish(l *Ledger, v Voids) Loss {
	var loss Loss
	if !c.joined {
		return loss
	}
	missed := c.missed
	c.each(l.Space, func(x *cell, lane, target int) {
		id := uint32(lane*l.Targets() + target)
		if x.holes != nil {
			for _, h := range x.holes.list {
				n := h.to - h.from + 1 - v.count(id, h.from, h.to)
				loss.Passed += n
				if h.join {
					loss.AtJoin += n
				}
			}
			loss.Passed += x.holes.frozen
			loss.Frozen += x.holes.frozen
		}
		if lo, hi := x.away(); lo <= hi {
			missed += int64(hi - lo + 1 - v.count(id, lo, hi))
		}
		if issued, ok := l.final(lane, target); ok && issued > x.last && (c.known || x.from > 0) {
			n := issued - x.last - v.count(id, x.last+1, issued)
			switch {
			case c.retired:
			case c.sentAway:
				missed += int64(n)
			default:
				loss.Tail += n
			}
		}
	})
	loss.Away = uint64(max(missed, 0))
	return loss
}
