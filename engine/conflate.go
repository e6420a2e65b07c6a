package engine

import "slices"

// conflationKey identifies the value that a keyed event replaces. An ephemeral
// event does not replace one that the log has: the connection may turn to the
// log before it gets the ephemeral one, and would then have neither.
type conflationKey struct {
	topic, key string
	ephemeral  bool
}

func (e *entry) conflationKey() conflationKey { return conflationKey{e.topic, e.key, e.ephemeral()} }

// newestKeys returns, for a client that asked for conflation, the newest event
// of each key that waits for it after a position and up to last; nil where
// nothing can be left out.
func (s *shard) newestKeys(c *client, after, last position) map[conflationKey]position {
	if !c.conflate {
		return nil
	}
	newest := s.gathered.forgetNewest()
	for seq := after; seq != last; {
		seq++
		s.spend(lookCost)
		if e := s.hub.slot(seq); e.key != "" && c.awaits(seq, e) {
			newest[e.conflationKey()] = seq
		}
	}
	return newest
}

// leaveOut counts what gatherWindow left out, as far as the client has come:
// what lies beyond is looked at again.
func (s *shard) leaveOut(c *client) {
	if c.state == stateClosed {
		return // all that waited has failed
	}
	for _, seq := range s.gathered.skipped {
		if c.pos.before(seq) {
			return
		}
		s.conflated(c, point{pos: seq})
	}
}

// conflated counts an event that a newer one of its key replaced.
func (s *shard) conflated(c *client, at point) {
	l := c.lag
	switch {
	case l.base.covers(at):
		return // a resend: never counted as pushed
	case c.state == stateBehind && !l.history.seen.covers(at):
		s.n[nPushed]++
	default:
		l.queue.take(1, 0)
	}
	s.n[nConflated]++
}

// maxKeptBytes bounds what a conflating client that reads the log keeps before
// it is sent: the newest events of more keys than that go out in stages.
const maxKeptBytes = 64 << 10

// keptEvents are the newest events of each key read from the log so far, in ID
// order, for a client that asked for conflation.
type keptEvents struct {
	events   []keptEvent
	newest   map[conflationKey]int // index in events
	bytes    int
	dead     int  // events that newer ones replaced
	flushing bool // they are being sent
}

type keptEvent struct {
	id    eventID
	key   conflationKey
	whom  uint64 // as a page has it
	frame []byte // as a gatherer takes it; nil once a newer event replaced it
}

// keep adds record n of a page and leaves out the one that it replaces.
func (s *shard) keep(c *client, p *page, n int) {
	k := &c.lag.history.kept
	r := &p.records[n]
	e := keptEvent{id: eventID(r.ID), key: conflationKey{topic: r.Topic, key: r.Key}}
	if r.Key != "" {
		if k.newest == nil {
			k.newest = map[conflationKey]int{}
		}
		if i, ok := k.newest[e.key]; ok {
			s.replaced(c, i)
		}
		k.newest[e.key] = len(k.events)
	}
	if p.whom != nil {
		e.whom = p.whom[n]
	}
	e.frame = slices.Clone(p.frame(n, c.form)) // the page is shared and large
	k.events = append(k.events, e)
	k.bytes += len(e.frame)
	k.compact()
}

// replaced leaves out kept event i.
func (s *shard) replaced(c *client, i int) {
	k := &c.lag.history.kept
	old := &k.events[i]
	k.bytes -= len(old.frame)
	k.dead++
	old.frame = nil
	s.conflated(c, point{id: old.id})
}

// compact drops the places of replaced events once they are the majority.
func (k *keptEvents) compact() {
	if len(k.events) < 64 || k.dead < len(k.events)/2 {
		return
	}
	kept := k.events[:0]
	for _, e := range k.events {
		if e.frame != nil {
			if e.key.key != "" {
				k.newest[e.key] = len(kept)
			}
			kept = append(kept, e)
		}
	}
	clear(k.events[len(kept):])
	k.events, k.dead = kept, 0
}

// sendKept sends the kept events, without those that the window replaces. It
// returns false where the client has to wait for its sink.
func (s *shard) sendKept(c *client) bool {
	k := &c.lag.history.kept
	if c.id >= s.oldestID() {
		for key := range s.newestKeys(c, s.placeOf(c), s.cursor()) {
			if i, ok := k.newest[key]; ok && k.events[i].frame != nil {
				s.replaced(c, i)
			}
		}
	}
	g := &s.gathered.run
	for len(k.events) > 0 {
		g.begin(c.form)
		i, whom := 0, uint64(0)
		for ; i < len(k.events) && !g.full(); i++ {
			if e := &k.events[i]; e.frame != nil {
				g.put(point{id: e.id}, e.frame, e.whom == whom)
				whom = e.whom
			}
		}
		j, id := s.gatheredRun(), c.id
		all := j.len() == 0 || s.send(c, j)
		if c.state == stateClosed {
			return false
		}
		if !all {
			for i = 0; i < len(k.events) && k.events[i].id <= c.id; i++ {
			}
		}
		k.events = k.events[i:]
		c.id = id // the log is read up to here, whatever of it is sent
		if !all {
			// The indices of newest have moved: what is left goes out as it is.
			k.newest = nil
			return false
		}
	}
	*k = keptEvents{}
	return true
}
