package engine

// This file decides how much of the ring's history a shard keeps behind its
// position: its window.

// windowing is what a shard keeps track of for it.
type windowing struct {
	size  int // as the reader has it
	tight tightHistory
}

// tightHistory is the history of a shard while the ring holds too many bytes:
// sum is that of low up to the shard's position.
type tightHistory struct {
	on  bool
	low position
	sum int64
}

// advance publishes the shard's position and lets go of history that the
// window no longer covers. Clients that would lose their place are moved on
// first.
func (s *shard) advance(to position) {
	low := s.historyAt(to)
	if p := &s.patience; p.waits && (p.at + 1).before(low) {
		low = p.at + 1 // patient clients are still to get it
	}
	s.keepFrom(low, to)
}

// keepFrom moves the shard to its position, and its window's beginning to low or,
// while clients wait to be moved on, not as far: the window is wider then, but never
// so wide that there would be no room for a push.
func (s *shard) keepFrom(low, to position) {
	s.noneOutgoing()
	window := s.hub.cfg.window
	// Again where low has moved in the middle.
	for s.troubled.reaches(low) {
		most := position(s.hub.ring.Cap() - s.hub.cfg.queue())
		if !s.trim(low, to-s.troubled.low >= most) {
			low, window = s.troubled.low+1, max(window, int(to-s.troubled.low))
		}
	}
	s.troubled.settle()
	if window != s.window.size {
		s.window.size = window
		s.reader.SetWindow(window)
	}
	s.reader.Advance(uint64(to))
	s.reader.Hold(uint64(low))
}

// historyAt returns the oldest position that the shard keeps once it is at to:
// the window's, or a later one where frames or audiences are so large that the
// ring holds too many bytes; then the latest ringBytes of them stay. The sum is carried
// from one call to the next, so that an event costs the same in any ring.
func (s *shard) historyAt(to position) position {
	low := to + 1 - position(s.hub.cfg.window)
	held, room := s.hub.frames.held.Load(), s.hub.cfg.ringBytes
	t := &s.window.tight
	if t.on = held > room || t.on && held > room/2; !t.on {
		*t = tightHistory{}
		return low
	}
	from := s.cursor() + 1
	if t.low == 0 {
		t.low, from = s.oldest(), s.oldest()
	}
	for seq := from; seq != to+1; seq++ {
		t.sum += s.heldBytes(seq)
	}
	for t.low.before(low) || t.sum > room && t.low != to+1 {
		t.sum -= s.heldBytes(t.low)
		t.low++
	}
	return t.low
}

func (s *shard) heldBytes(p position) int64 { return s.hub.slot(p).held() }
