package engine

import (
	"context"
	"errors"
	"hash/maphash"
	"strings"
	"time"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
)

// Seat is a place in the stream kept for one connection. Where the connection
// begins, and whether it misses anything, is decided by [Hub.Seat] and by nothing
// later: what is pushed after Seat has returned reaches the connection, whenever
// the seat is taken. A seat that is not taken costs nothing. It is used by one
// goroutine.
type Seat struct {
	hub   *Hub
	c     *client
	stand eventID
	gap   Gap
	lost  bool
}

// Seat decides where a connection begins, to be called before its response head
// goes out. ctx bounds a look into the log, which few Last-Event-IDs need.
//
// Errors: ErrClosed, ErrDraining, ErrBusy; a *wire.FieldError for a user, a topic, a start, a
// form or an encoding that cannot be; ErrHistory, or ctx's error, where the log could not be asked; ErrUnready
// where the hub follows others and does not know enough of them now.
func (h *Hub) Seat(ctx context.Context, sub Subscription) (*Seat, error) {
	s, err := h.seat(ctx, sub)
	if err != nil {
		return nil, err
	}
	return &s, nil
}

func (h *Hub) seat(ctx context.Context, sub Subscription) (s Seat, err error) {
	switch {
	case h.life.refuses():
		return s, ErrClosed
	case h.shut.Load():
		return s, ErrDraining
	case sub.UID != "" && h.presence.crowded():
		return s, ErrBusy
	}
	patterns, err := sub.validate()
	if err != nil {
		return s, err
	}
	if _, ok := h.formIn(sub.Form, sub.Encoding); !ok {
		return s, &wire.FieldError{Field: "encoding", Reason: "is none of the hub's"}
	}
	if src := h.cfg.source; src != nil {
		if err := src.Admit(); err != nil {
			return s, err
		}
	}
	c := h.newClient(&sub, patterns)
	if d := h.dismissal.Load(); d != nil {
		c.epoch = d.epoch // before looking where the stream is
	}
	if sub.looksBack() {
		sub.Topics = c.topicNames() // sorted, which spares the log as much
	}
	b, err := h.begin(ctx, &sub, c.shard)
	if err != nil {
		return s, err
	}
	// A time is no ID to come back with: an age moves on with the clock.
	c.pos, c.id, c.placed = b.at.pos, b.at.id, b.resumes && sub.Since.IsZero()
	if b.resumes || b.gap.told {
		c.lag = &lag{resumes: b.resumes, gap: b.gap}
		if b.resumes {
			c.lag.fleeting = b.now
		}
	}
	s = Seat{hub: h, c: c, stand: h.told(b.at.id)}
	if s.lost = b.gap.told || b.short != 0; s.lost {
		g := b.gap
		g.to = max(g.to, b.short)
		if !b.gap.told {
			g.from = b.at.id
		}
		s.gap = g.data()
	}
	return s, nil
}

// ID is where the connection stands when it begins: it gets the events after
// this ID. 0 is before all events.
func (s *Seat) ID() uint64 { return uint64(s.stand) }

// told returns the ID by which a client is told that it has everything up to id: one
// that counts as issued, also if the run gets no record.
func (h *Hub) told(id eventID) eventID {
	if id == h.origin.id && h.began != 0 {
		return h.began
	}
	return id
}

// Gap returns what the connection misses of what it asked for, as the gap event
// will say it; ok is false where nothing is missing. Retention may take more
// before the connection has read it, and the event then says so.
func (s *Seat) Gap() (g Gap, ok bool) { return s.gap, s.lost }

// UseForm says how the bytes are framed, instead of Subscription.Form, where that
// is known only with the response head. It comes before Take; a form that does not
// exist changes nothing.
func (s *Seat) UseForm(f Form) {
	if f < framings {
		s.c.form = f.withEncoding(s.c.form.encoding())
	}
}

// UseEncoding says how the bytes are coded, instead of Subscription.Encoding, by the
// name of one of the hub's encodings; "" is not at all. It comes before Take, and
// returns false where the hub does not have the encoding.
func (s *Seat) UseEncoding(name string) bool {
	f, ok := s.hub.formIn(s.c.form, name)
	s.c.form = f
	return ok
}

// Take adds the connection. The hub's shard owns sink from here on and closes it
// exactly once, also where it turns out that the hub closes; only if Take returns
// ErrClosed the sink is still the caller's. A seat is taken once, and not with a nil
// sink: Take panics.
func (s *Seat) Take(sink Sink) (Subscriber, error) {
	h, c := s.hub, s.c
	if sink == nil {
		panic("engine: a seat is taken with a nil sink")
	}
	if c.sink != nil {
		panic("engine: a seat is taken twice")
	}
	if !h.life.join() {
		return Subscriber{}, ErrClosed
	}
	c.sink = sink
	h.linger.joins(c.shard)
	h.beginJoin(c)
	if c.lag != nil && c.lag.resumes {
		c.lag.resuming.began = h.instant()
	}
	c.attend(attendJoin)
	return Subscriber{c}, nil
}

// Subscribe is Seat and Take in one, for connections without a response head.
func (h *Hub) Subscribe(sub Subscription, sink Sink) (Subscriber, error) {
	seat, err := h.seat(h.ctx, sub)
	if err != nil {
		return Subscriber{}, err
	}
	return seat.Take(sink)
}

// newClient makes the connection of a subscription, at no position yet. The patterns
// are the connection's from here on.
func (h *Hub) newClient(sub *Subscription, patterns []wire.Pattern) *client {
	c := &client{uid: sub.UID, policy: sub.Policy, conflate: sub.Conflate, only: sub.OnlyTopics,
		patient: sub.Patient && h.cfg.patience > 0}
	if c.policy > PolicyDisconnect {
		c.policy = PolicyDefault
	}
	c.form, _ = h.formIn(sub.Form, sub.Encoding)
	c.node.Value = c
	if sub.UID != "" {
		c.shard = h.shards[h.shardOf(sub.UID)]
		c.source = maphash.String(h.seed, "u"+sub.UID)
	} else {
		turn := h.turn.Add(1)
		c.shard = h.shards[turn%uint64(len(h.shards))]
		c.source = maphash.Comparable(h.seed, turn)
	}
	if sub.Source != "" {
		c.source = maphash.String(h.seed, "s"+sub.Source)
	}
	if len(patterns) > 0 {
		c.follow(patterns)
	}
	switch stall := sub.StallTimeout; {
	case stall > 0:
		c.stallFor = h.ticksOf(stall)
	case stall == 0 && h.cfg.stall > 0:
		c.stallFor = h.ticksOf(h.cfg.stall)
	}
	return c
}

// beginning is what is decided of a connection's beginning.
type beginning struct {
	at      point   // it gets what follows; where it resumes, what follows the ID
	resumes bool    // it reads history, from at.id
	gap     gap     // told first
	short   eventID // retention, or the window, is known to have taken all up to here; 0: nothing
	now     position
}

// begin decides where a connection begins. It is the one place that does.
func (h *Hub) begin(ctx context.Context, sub *Subscription, s *shard) (b beginning, err error) {
	now := h.latest()
	b.at, b.now = now, now.pos // live
	switch {
	case !sub.Since.IsZero():
		return h.beginSince(ctx, sub, b)
	case sub.LastEventID == "":
		return b, nil
	case sub.LastEventID == Earliest || sub.LastEventID == "0":
		return h.beginEarliest(sub, s, b), nil
	}
	n, err := wire.ParseID(sub.LastEventID)
	id := eventID(n)
	if err == nil && id > now.id && h.cfg.source != nil {
		if now, err = h.awaitID(ctx, id); err != nil {
			return b, err
		}
		b.at, b.now = now, now.pos
	}
	switch {
	case err != nil || id > now.id:
		// Never issued here: a garbled ID, or one of another hub.
		b.gap = gap{told: true, name: gapName(sub.LastEventID), to: now.id}
		return b, nil
	case !h.cfg.resend:
		if id != now.id {
			b.gap = gap{told: true, from: id, to: now.id}
		}
		return b, nil
	}
	b.at, b.resumes = point{h.origin.pos, id}, true
	if h.log == nil {
		b.short = s.shortOf(id)
		return b, nil
	}
	if f := h.follow; f != nil && id < eventID(f.lost.Load()) {
		// The ring may have what came before and after, and nothing between.
		b.gap = gap{told: true, from: id, to: eventID(f.lost.Load())}
		b.at.id = b.gap.to
		id = b.at.id
	}
	if floor := eventID(h.log.Floor(sub.Topics)); id < floor {
		if s.shortOf(id) != 0 { // the ring may reach back further than the log
			b.short = floor
		}
		return h.tellLost(b), nil
	} else if id == floor || id >= h.wholeFrom() {
		return h.tellLost(b), nil // what retention removed last, or given out by this hub
	}
	if b, err = h.beginKnown(ctx, b); err != nil {
		return b, err
	}
	return h.tellLost(b), nil
}

// tellLost adds to the gap that is told first what the log was found to lack
// further on. What is left between is sent all the same.
func (h *Hub) tellLost(b beginning) beginning {
	losses, ok := h.log.(persist.Losses)
	if !ok {
		return b
	}
	if to := eventID(losses.LostAfter(uint64(b.at.id))); to > b.at.id {
		if !b.gap.told {
			b.gap = gap{told: true, from: b.at.id}
		}
		b.gap.to = max(b.gap.to, to)
	}
	return b
}

// beginKnown sees whether the ID to resume after, from before this hub began, was
// ever issued by the present history. If it was not, the client has it from
// elsewhere, and what came after it there is missing here.
func (h *Hub) beginKnown(ctx context.Context, b beginning) (beginning, error) {
	id := b.at.id
	known, err := h.issued(ctx, id)
	if err != nil || known {
		return b, err
	}
	to := min(h.wholeFrom(), h.latest().id)
	next, found, err := h.recordAfter(ctx, id)
	if err != nil {
		return b, err
	}
	if found {
		to = min(to, eventID(next.ID)-1)
	}
	if to > id { // else the history begins right after it
		b.gap = gap{told: true, from: id, to: to}
		b.at.id = to
	}
	return b, nil
}

// wholeFrom returns the ID after which this life of the hub has everything.
func (h *Hub) wholeFrom() eventID {
	if h.follow != nil {
		return eventID(h.follow.from.Load())
	}
	return h.origin.id
}

// beginEarliest begins with all that is kept.
func (h *Hub) beginEarliest(sub *Subscription, s *shard, b beginning) beginning {
	if !h.cfg.resend {
		if b.at.id != h.origin.id || h.log != nil && h.log.Last() != 0 {
			b.gap = gap{told: true, to: b.at.id}
		}
		return b
	}
	b.at, b.resumes = point{h.origin.pos, h.origin.id}, true
	if h.log == nil {
		if short := s.shortOf(h.origin.id); short != 0 {
			b.gap = gap{told: true, to: short}
			b.at.id = short
		}
		return b
	}
	b.at.id = eventID(h.log.Floor(sub.Topics))
	if b.at.id != 0 {
		b.gap = gap{told: true, to: b.at.id}
	}
	return h.tellLost(b)
}

// shortOf returns the ID up to which the shard's window has lost what follows id,
// 0 where it has everything. Safe from any goroutine; the window moves on.
func (s *shard) shortOf(id eventID) eventID {
	if oldest := eventID(s.c.oldest.Load()); id < oldest {
		return oldest
	}
	return 0
}

// gapName is an ID that is none, as it is sent back: one that is longer than IDs are
// says that it was cut.
func gapName(id string) string {
	more := ""
	if len(id) > maxGapName {
		id, more = id[:maxGapName], "..."
	}
	return strings.ToValidUTF8(strings.Clone(id), "?") + more
}

var errNoTimes = &wire.FieldError{Field: "since", Reason: "needs a log that keeps the times of its records"}

// clocksDiffer is how far a client's clock may be ahead: what it takes for now is live.
const clocksDiffer = 5 * time.Minute

// beginSince begins with the first record that was appended at the time or later.
func (h *Hub) beginSince(ctx context.Context, sub *Subscription, b beginning) (beginning, error) {
	if sub.LastEventID != "" {
		return b, &wire.FieldError{Field: "since", Reason: "contradicts a last event ID"}
	}
	if now := time.Now(); sub.Since.After(now.Add(clocksDiffer)) { // events come before it
		return b, &wire.FieldError{Field: "since", Reason: "is in the future: here it is " + now.UTC().Format(time.RFC3339)}
	}
	dated, ok := h.log.(persist.Dated)
	if !ok || !h.cfg.resend {
		return b, errNoTimes
	}
	id, err := h.after(ctx, dated, sub.Since)
	if err != nil {
		return b, err
	}
	// What was removed may have been of that time.
	if floor := eventID(h.log.Floor(sub.Topics)); id < floor {
		b.gap = gap{told: true, to: floor}
		id = floor
	}
	b.at, b.resumes = point{h.origin.pos, id}, true
	return h.tellLost(b), nil
}

// historyError is the error of a Seat for which the log could not be asked.
func historyError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errors.Join(ErrHistory, err)
}
