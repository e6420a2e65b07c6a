package session

import (
	"github.com/spatehub/spate/loadtest/internal/check"
	"github.com/spatehub/spate/loadtest/stamp"
	"github.com/spatehub/spate/wire"
)

// event takes in one event of the current stream.
func (r *Reader) event(e wire.RawEvent) error {
	s, c := r.cur, &r.Stats
	c.Events++
	c.DataBytes += int64(len(e.Data))
	if !s.any {
		s.any = true
		if s.Role == Normal {
			c.First.Record(r.now - s.sent)
		}
	} else if r.env.Observe && s.Role == Normal {
		c.Gap.Record(r.now - s.last)
	}
	if r.env.Observe {
		r.observe(s, &e)
	}
	s.last = r.now
	if r.env.Finite != nil {
		return r.finite(s, &e)
	}
	if len(e.Event) > 0 && string(e.Event) == r.env.GapType {
		if r.env.CheckIDs && e.HasID {
			r.checkID(s, e.ID)
		}
		c.Gaps++
		return nil
	}
	outcome, ours := r.stamped(s, &e)
	if r.env.CheckIDs && !r.env.Observe {
		r.ids(s, &e, outcome, ours)
	}
	return nil
}

// stamped checks an event by its stamp. ours is false for one that has none, is
// of another run or damaged, or is for somebody else.
func (r *Reader) stamped(s *Session, e *wire.RawEvent) (outcome check.Outcome, ours bool) {
	c := &r.Stats
	st, verdict := r.known.parse(e.Data)
	switch {
	case verdict == stamp.Missing || verdict == stamp.Intact && st.Run != r.env.Run:
		c.Foreign++
		return 0, false
	case verdict == stamp.Corrupt, !r.rightType(e.Event):
		c.Corrupt++
		return 0, false
	}
	outcome = s.Check.Observe(r.env.Ledger, &st)
	if outcome == check.Live && st.Sent < s.joined && r.env.Ledger.Far() {
		outcome = check.Replayed // by the clock, as the numbers do not tell
	}
	switch outcome {
	case check.Misaddressed:
		c.Misaddressed++
		return outcome, false
	case check.Unknown:
		c.Corrupt++
		return outcome, false
	case check.Duplicate:
		c.Duplicates++
		return outcome, true
	case check.Late:
		c.Disorder++
	case check.LateReplayed:
		c.Disorder++
		c.Replayed++
	case check.Replayed:
		c.Replayed++
	}
	c.Deliveries++
	c.LastDelivery = r.now
	var group *Group
	if s.Group >= 0 {
		group = c.Group(s.Group)
		group.Deliveries++
	}
	switch {
	case st.Sent < r.env.MeasureFrom.Load():
		c.WarmUp++
	case (outcome == check.Live || outcome == check.Late) && s.Role == Normal:
		c.Latency.Record(r.now - st.Sent)
		if group != nil {
			group.Latency.Record(r.now - st.Sent)
		}
	}
	return outcome, true
}

// rightType reports whether an event of the run has the type that it was
// published under.
func (r *Reader) rightType(t []byte) bool {
	switch {
	case r.env.Type == "":
		return true
	case len(t) == 0:
		return r.env.Type == wire.DefaultEventType
	}
	return string(t) == r.env.Type
}

// ids checks the ID of an event.
func (r *Reader) ids(s *Session, e *wire.RawEvent, outcome check.Outcome, ours bool) {
	if !e.HasID {
		if ours {
			r.Stats.IDMissing++
		}
		return
	}
	rises, decimal := r.checkID(s, e.ID)
	switch {
	case !decimal && ours:
		r.Stats.IDMissing++
	case !rises && ours && (outcome == check.Late || outcome == check.LateReplayed || outcome == check.Duplicate):
		r.Stats.IDSwapped++
	}
}

// checkID counts decimal IDs that do not rise within the connection.
func (r *Reader) checkID(s *Session, id []byte) (rises, decimal bool) {
	n, ok := decimalID(id)
	if !ok {
		return true, false
	}
	rises = n > s.id
	if !rises {
		r.Stats.IDDisorder++
	}
	s.id = n
	return rises, true
}

// decimalID reads an ID of up to 20 digits.
func decimalID(id []byte) (n uint64, ok bool) {
	if len(id) == 0 || len(id) > 20 {
		return 0, false
	}
	for _, b := range id {
		d := uint64(b - '0')
		if d > 9 || n > (1<<64-1-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}
