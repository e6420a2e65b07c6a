package engine

import "sort"

// Two kinds of number run through the engine, and neither is ever taken for the
// other: where an event lies in the ring, and by which ID clients and the log
// know it.

// position is an event's place in the ring. Every event has one, ephemeral ones
// too. Positions count modulo 2^64, from 0 before the first event of a hub.
type position uint64

// before compares positions on their circle.
func (p position) before(q position) bool { return int64(p-q) < 0 }

// eventID is an event's ID; 0 is none. IDs increase strictly from event to event,
// with holes of any size, and are compared as numbers: one that a client sends
// may be any.
type eventID uint64

// point is a moment in the stream: a position, and the highest ID of the events
// up to it.
type point struct {
	pos position
	id  eventID
}

// covers says whether an event, given by its position or, as a record of the
// log, by its ID alone, is one of those up to p.
func (p point) covers(event point) bool {
	if event.pos != 0 {
		return !p.pos.before(event.pos)
	}
	return event.id <= p.id
}

// count is 1 if p covers the event, else 0.
func (p point) count(event point) int {
	if p.covers(event) {
		return 1
	}
	return 0
}

// slot returns the entry at a position; see ringbuf.Ring.Slot for who may.
func (h *Hub) slot(p position) *entry { return h.ring.Slot(uint64(p)) }

// cursor is the shard's position: every event ≤ it has been through deliver.
func (s *shard) cursor() position { return position(s.reader.Cursor()) }

// oldest is the lowest position that the shard may still look at in the ring.
func (s *shard) oldest() position { return position(s.reader.Held()) }

// next is the reader's TryNext.
func (s *shard) next(limit int) (from, to position, ok bool) {
	limit = s.hub.linger.room(s.cursor(), limit)
	if limit == 0 {
		return 0, 0, false
	}
	f, t, ok := s.reader.TryNext(limit)
	return position(f), position(t), ok
}

// idAt returns the highest ID up to a position between oldest-1 and high.
func (s *shard) idAt(p position) eventID {
	if p == s.high.pos {
		return s.high.id
	}
	return s.hub.slot(p + 1).prev
}

// at returns the position, which is between oldest-1 and high, with its ID.
func (s *shard) at(p position) point { return point{p, s.idAt(p)} }

// oldestID is the ID after which the window has everything.
func (s *shard) oldestID() eventID { return s.idAt(s.oldest() - 1) }

// find returns the position in the window at which a reader is that has
// everything up to the ID, which is between oldestID and high's. Ephemeral events
// that follow the ID's event come after it.
func (s *shard) find(id eventID) position {
	low := s.oldest() - 1
	n := sort.Search(int(s.high.pos-low), func(i int) bool { return s.idAt(low+position(i)) >= id })
	p := low + position(n)
	if s.idAt(p) > id {
		p-- // the ID lies in a hole before the event at p
	}
	return p
}

// placeOf returns where the client is in the window, or would be: its position, or
// that of its ID if that is later.
func (s *shard) placeOf(c *client) position {
	if c.state != stateBehind {
		return c.pos
	}
	p := s.oldest() - 1
	if c.id >= s.oldestID() {
		p = s.find(min(c.id, s.high.id))
	}
	if p.before(c.pos) {
		p = c.pos
	}
	return p
}
