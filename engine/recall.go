package engine

import (
	"context"
	"errors"
	"time"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
)

// This file reads the log for whoever asks in pages instead of a stream.

// ErrNoLog is returned where history is asked for of a hub that has no log.
var ErrNoLog = errors.New("spate: hub has no log")

// Recalled is an event of the past. The event's own Users are left out, as on a stream:
// who else got it is nobody's business but an operator's.
type Recalled struct {
	Event *wire.Event // with its ID, and Data as a string
	Time  time.Time   // when it was pushed, to a millisecond
	Users []string    // that it was pushed to, for eyes that may see them; nil: everyone
}

// HistoryPage is a part of what a stream would have got.
type HistoryPage struct {
	Events []Recalled

	// Next is the ID after which to read on.
	Next uint64

	// More says that there may be more now. A page can be empty although there is:
	// what is looked at for one page is bounded.
	More bool

	// Gap is what is missing before Events; Lost says that there is any.
	Gap  Gap
	Lost bool
}

// historyRounds bounds how often the log is asked for one page.
const historyRounds = 8

// History reads a page of what the connection would be sent from the log: the seat
// has decided where it begins and what it may get. The seat is not taken, and may be
// asked once. A page has at most limit events (1 to 1000) and about 256 kB of frames.
// Few are read at a time, and who reads takes turns by source, user and caller, as
// connections do that read the log; ctx ends the wait for a turn.
//
// Errors: ErrNoLog, ErrClosed, ErrHistory, ctx's.
func (s *Seat) History(ctx context.Context, limit int) (p HistoryPage, err error) {
	h, c := s.hub, s.c
	if h.log == nil {
		return p, ErrNoLog
	}
	turn := newHistory(c, point{})
	if err := h.turns.await(ctx, turn); err != nil {
		return p, err
	}
	readings := 0
	defer func() { h.turns.done(turn, readings, &p) }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(h.ctx, func() { cancel(ErrClosed) })()
	p.Gap, p.Lost, p.Next = s.gap, s.lost, uint64(c.id)
	if c.lag == nil || !c.lag.resumes {
		return p, nil // there is nothing yet after an ID that was never issued
	}
	topics := c.topicNames()
	lim := persist.Limit{Records: min(max(limit, 1), 1000), Bytes: pageBytes}
	for readings < historyRounds {
		readings++
		page, err := h.readFor(ctx, c, topics, p.Next, lim)
		if err != nil {
			return HistoryPage{}, historyError(ctx, err)
		}
		// Retention may have been at work meanwhile, or before.
		floor := h.log.Floor(topics)
		if floor > p.Next {
			if len(p.Events) > 0 {
				p.More = true // what is missing comes before the next page
				break
			}
			if !p.Lost || uint64(mustID(p.Gap.To)) < floor {
				from := wire.FormatID(p.Next)
				if p.Lost {
					from = p.Gap.From
				}
				p.Gap, p.Lost = Gap{From: from, To: wire.FormatID(floor)}, true
			}
			page.UpTo = max(page.UpTo, floor)
		}
		wish := c.wish()
		for i := range page.Records {
			r := &page.Records[i]
			if r.ID <= floor || !wish.Admits(whomOf(r)) {
				continue // the gap says that it is missing
			}
			e := decodeFrame(r.Frame)
			e.Topic, e.Key = r.Topic, r.Key
			p.Events = append(p.Events, Recalled{Event: e, Time: time.UnixMilli(r.Time), Users: r.Users})
			lim.Records--
			lim.Bytes -= len(r.Frame)
		}
		p.More = page.UpTo > p.Next
		p.Next = max(p.Next, page.UpTo)
		if !p.More || lim.Records <= 0 || lim.Bytes <= 0 {
			break
		}
	}
	return p, nil
}

// readFor reads what is for a client, and perhaps other records.
func (h *Hub) readFor(ctx context.Context, c *client, topics []string, after uint64, lim persist.Limit) (persist.Page, error) {
	q, ok := h.log.(persist.Querier)
	if !ok {
		return h.log.Read(ctx, after, lim)
	}
	query := persist.Query{Public: !c.only, Topics: topics, User: c.uid}
	return q.Query(ctx, query, after, lim)
}

// mustID is an ID that the hub has written.
func mustID(text string) uint64 {
	id, err := wire.ParseID(text)
	if err != nil {
		return 0
	}
	return id
}
