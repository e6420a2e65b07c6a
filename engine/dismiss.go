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

// dismissing is how far a shard is with ending those who are dismissed: so many are
// still to be looked at, those who came first. Whoever comes later has its place
// decided after the dismissal, or is refused by admit.
type dismissing struct {
	epoch        uint32 // of the dismissal that it is at, or done with
	early, books int
}

// endDismissed ends the shard's connections from before the last dismissal, for a
// bounded cost. It returns whether none is left. It comes between a look into the
// ring and the delivery of what was found, so that who is dismissed gets nothing of
// later.
func (s *shard) endDismissed() (done bool) {
	d := s.hub.dismissal.Load()
	if d == nil {
		return true
	}
	at := &s.dismissing
	if at.epoch != d.epoch {
		*at = dismissing{epoch: d.epoch, early: len(s.early.list), books: len(s.books.clients)}
	}
	if at.early+at.books > 0 {
		s.letGoNow()
	}
	end := s.until(s.hub.cfg.sweep)
	for ; at.early > 0; at.early-- {
		if s.reached(end) {
			return false
		}
		s.spend(lookCost)
		switch c := s.early.shift(); {
		case c == nil: // some have gone by themselves
		case c.epoch == d.epoch:
			s.early.turn(c)
		case c.state == stateNew:
			s.close(c, d.reason)
		}
	}
	for ; at.books > 0; at.books-- {
		if s.reached(end) {
			return false
		}
		s.spend(lookCost)
		if i := at.books - 1; i < len(s.books.clients) && s.books.clients[i].epoch != d.epoch {
			s.end(s.books.clients[i], d.reason)
		}
	}
	return true
}
