package session

import (
	"hash/maphash"

	"github.com/spatehub/spate/wire"
)

// seenIDs are the last IDs of one stream, over all its connections.
type seenIDs struct {
	hashes [seenMost]uint64
	next   int
	top    uint64 // highest decimal ID
}

// seenMost is how many IDs back an event is known again.
const seenMost = 256

var seenSeed = maphash.MakeSeed()

// has reports whether id is among the last ones, and notes it if it is not.
func (s *seenIDs) has(id []byte, fresh bool) bool {
	h := maphash.Bytes(seenSeed, id) | 1 // 0 = no ID
	if !fresh {
		for _, x := range s.hashes {
			if x == h {
				return true
			}
		}
	}
	s.hashes[s.next] = h
	s.next = (s.next + 1) % seenMost
	return false
}

// observe measures an event of a deployment that publishes by itself: what can be
// told without a stamp.
func (r *Reader) observe(s *Session, e *wire.RawEvent) {
	c := &r.Stats
	name := e.Event
	if len(name) == 0 {
		name = []byte(wire.DefaultEventType)
	}
	t := c.Type(name)
	t.Events++
	t.Bytes += int64(len(e.Data))
	if gap := r.now - s.last; r.env.Silence > 0 && gap > r.env.Silence && s.Role == Normal {
		c.Silences++
	}
	if s.Role == Normal {
		c.Silence = max(c.Silence, r.now-s.last)
	}
	if e.HasID && len(e.ID) > 0 {
		r.observeID(s, e.ID)
	}
	if r.env.Time != nil && s.Role == Normal {
		at, ok := r.env.Time.Time(e)
		switch {
		case !ok:
			c.DelayNone++
		case at > r.now:
			c.DelayAhead++
		default:
			c.Delay.Record(r.now - at)
			t.Delay.Record(r.now - at)
		}
	}
}

// observeID counts IDs that the stream has had before, and decimal ones below an
// earlier one's.
func (r *Reader) observeID(s *Session, id []byte) {
	if s.seen == nil {
		s.seen = &seenIDs{}
	}
	n, decimal := decimalID(id)
	rises := decimal && n > s.seen.top
	switch {
	case s.seen.has(id, rises):
		r.Stats.IDDuplicates++
	case rises:
		s.seen.top = n
	case decimal:
		r.Stats.IDDisorder++
	}
}

// silence accounts for the span without an event that ends with the connection.
// One that the tester itself cut short is no alarm.
func (r *Reader) silence(s *Session, now int64, alarm bool) {
	if !r.env.Observe || s.Role != Normal {
		return
	}
	gap := now - s.last
	r.Stats.Silence = max(r.Stats.Silence, gap)
	if alarm && r.env.Silence > 0 && gap > r.env.Silence {
		r.Stats.Silences++
	}
}
