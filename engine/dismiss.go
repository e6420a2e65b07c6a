package engine

// dismissal is a moment from which on no connection may live that began before.
type dismissal struct {
	epoch  uint32
	reason error
}

// Dismiss ends all connections with a disconnect event: clients come back, here or
// elsewhere. reason is ErrClosed, ErrHistory or ErrExpired. A connection whose Seat
// is decided after Dismiss has returned is not concerned; one that is gets no event
// that is pushed after it. Called by one goroutine at a time.
func (h *Hub) Dismiss(reason error) {
	d := &dismissal{epoch: 1, reason: reason}
	if was := h.dismissal.Load(); was != nil {
		d.epoch = was.epoch + 1
	}
	h.dismissal.Store(d)
	h.wakeMask(h.all)
}

// endDismissed ends the shard's connections from before the last dismissal, for a
// bounded cost. It returns whether none is left. It comes between a look into the
// ring and the delivery of what was found, so that who is dismissed gets nothing of
// later.
func (s *shard) endDismissed() (done bool) {
	d := s.hub.dismissal.Load()
	if d == nil || d.epoch == s.epoch {
		return true
	}
	end := s.until(s.hub.cfg.sweep)
	waiting := s.early.list
	s.early.list = nil
	for ; len(waiting) > 0; waiting = waiting[1:] {
		if s.reached(end) {
			s.early.list = append(waiting, s.early.list...)
			return false
		}
		s.spend(lookCost)
		if c := waiting[0]; c.epoch == d.epoch {
			s.early.add(c)
		} else if c.state == stateNew {
			s.close(c, d.reason)
		}
	}
	for i := len(s.books.clients) - 1; i >= 0; i-- {
		if s.reached(end) {
			return false
		}
		s.spend(lookCost)
		if c := s.books.clients[i]; c.epoch != d.epoch {
			s.end(c, d.reason)
		}
	}
	s.epoch = d.epoch
	return true
}
