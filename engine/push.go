package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
	"github.com/valyala/bytebufferpool"
)

// Push sends events to users, or to everyone where uids is nil. It returns
// when the log has the events, or, without a log, when they are in the ring;
// it never waits for a connection. The events are not changed and may be
// reused at once. Where the log does not wait for a disk, Push may write to it
// itself, for other publishers too; nothing can interrupt it then.
//
// All events of one push are accepted or none. An empty, non-nil uids is
// ErrNoUsers. Other errors: ErrClosed, ErrNoEvents, ErrTooLarge, ErrTooMany,
// *wire.FieldError, also for the types of events that are the hub's own, and
// ErrLog; *EventError says which of several events it is. The strings of the
// events, but for a list of users, are kept while the events are in the ring.
func (h *Hub) Push(uids []string, events ...*wire.Event) error {
	_, err := h.push(context.Background(), uids, events, waitCommit)
	return err
}

// Publish is Push that returns the IDs given, one for each event; that of an
// ephemeral event is 0. ctx ends the wait for room in the ring, and the wait
// for the log; in the latter case the events may still come to be published.
func (h *Hub) Publish(ctx context.Context, uids []string, events ...*wire.Event) ([]uint64, error) {
	p, err := h.push(ctx, uids, events, waitCommit)
	if err != nil {
		return nil, err
	}
	if p.ids != nil {
		return p.ids, nil
	}
	return appendIDs(make([]uint64, 0, len(events)), p.first, events), nil
}

// PushAsync is Push that does not wait for the log. It still waits for room in
// the ring, which is how publishers are slowed down when the log cannot keep
// up.
func (h *Hub) PushAsync(uids []string, events ...*wire.Event) (*Result, error) {
	if h.follow != nil {
		return h.forwardAsync(uids, events)
	}
	p, err := h.push(context.Background(), uids, events, keepWait)
	if err != nil {
		return nil, err
	}
	r := &Result{hub: h, wait: p.wait}
	r.ids = appendIDs(r.one[:0], p.first, events)
	return r, nil
}

// Result is the outcome of PushAsync. One goroutine may wait for it.
type Result struct {
	hub  *Hub
	wait *commitWait // nil: decided
	ids  []uint64
	one  [1]uint64 // backs ids of a single event
	err  error
}

// Wait returns the IDs once the log has the events, or the error. If ctx ends
// first it returns ctx's error, and may be called again.
func (r *Result) Wait(ctx context.Context) ([]uint64, error) {
	if r.wait != nil {
		decided, err := r.hub.awaitCommit(ctx, r.wait)
		if !decided {
			return nil, err
		}
		r.wait, r.err = nil, err
	}
	if r.err != nil {
		return nil, r.err
	}
	return r.ids, nil
}

// appendIDs lists the IDs of a push whose first event with an ID has first.
func appendIDs(ids []uint64, first eventID, events []*wire.Event) []uint64 {
	for _, e := range events {
		if e.Ephemeral {
			ids = append(ids, 0)
			continue
		}
		ids = append(ids, uint64(first))
		first++
	}
	return ids
}

// pushMode says what a push does about the log's verdict.
type pushMode uint8

const (
	waitCommit pushMode = iota
	keepWait
)

// pushed is what a push leaves.
type pushed struct {
	first eventID
	last  position    // 0: nothing was claimed
	wait  *commitWait // in mode keepWait
	ids   []uint64    // of a follower
}

func (h *Hub) push(ctx context.Context, uids []string, events []*wire.Event, mode pushMode) (p pushed, err error) {
	if !h.life.enter() {
		return p, ErrClosed
	}
	defer h.life.leave()
	if err := h.checkPush(uids, events); err != nil {
		return p, err
	}
	if err := h.checkOwnTopic(events); err != nil {
		return p, err
	}
	if h.follow != nil {
		p.ids, err = h.forward(ctx, uids, events)
		return p, err
	}
	var few [4]*bytebufferpool.ByteBuffer
	var load parcel
	bufs, err := h.pack(&load, few[:0], uids, events)
	if err != nil {
		return p, err
	}
	return h.publish(ctx, &load, bufs, events, nil, mode)
}

// publish puts what is packed into the ring and sees to its being kept. The IDs
// are claimed with the places where none are given.
func (h *Hub) publish(ctx context.Context, load *parcel, bufs []*bytebufferpool.ByteBuffer, events []*wire.Event, given *numbering, mode pushMode) (p pushed, err error) {
	began := h.samplePush()
	own := load.logged
	if given != nil {
		own = 0
	}
	if own > 0 && h.pace.first > persist.MaxID {
		h.putBack(bufs)
		return p, fmt.Errorf("%w: %w", ErrLog, persist.CheckRun(uint64(h.pace.first), 0))
	}
	if err := h.frames.reserve(ctx, h, load.held); err != nil {
		h.putBack(bufs)
		return p, err
	}
	claimed, number, err := h.ring.ClaimNumbered(ctx, len(events), own)
	if err != nil {
		h.frames.held.Add(-load.held)
		h.putBack(bufs)
		return p, claimError(err)
	}
	if given != nil {
		ctx = context.Background() // kept or not, who applies next must know
	}
	var wait *commitWait
	if h.journal != nil {
		wait = h.lendWait()
	}
	first := position(claimed)
	last := first + position(len(events)) - 1
	p.first, p.last = eventID(number), last
	if own > 0 {
		h.pace.await(p.first + eventID(own) - 1)
	}
	ids := numbering{prev: p.first - 1}
	if given != nil {
		ids = *given
	}
	mask := h.fillSlots(first, &ids, load, bufs, events, wait)
	if given != nil && wait == nil {
		h.follow.reach(point{last, ids.prev})
	}
	if h.journal == nil || h.cfg.immediate { // else the journal commits
		h.commits.set(first, last, began)
	}
	h.ring.Publish(claimed, len(events))
	if h.journal == nil || h.cfg.immediate {
		if h.ring.Claimed() != uint64(last) {
			mask = h.all // later pushes, of whatever audience, may have been held back by this one
		}
		h.wakeFor(first, last, mask, load.urgent)
	}
	if wait == nil {
		h.committedIn(began)
		return p, nil
	}
	h.seeToCommit(ctx, wait, mode)
	if mode == keepWait {
		p.wait = wait
		return p, nil
	}
	if _, err = h.awaitCommit(ctx, wait); err == nil {
		h.committedIn(began)
	}
	return p, err
}

// seeToCommit makes sure that somebody commits what was published.
func (h *Hub) seeToCommit(ctx context.Context, wait *commitWait, mode pushMode) {
	if h.life.gaveUp() {
		wait.decide(ErrClosed) // the event is still committed: Shutdown waits for the ring
	}
	switch {
	case !h.journal.inline:
		// Its goroutine waits at the ring.
	case mode == waitCommit && ctx.Done() == nil:
		h.journal.lead()
	default:
		h.journal.kick()
	}
}

// maxReceivers bounds the users of one push, summed over its events: each is an
// entry in the log's index.
const maxReceivers = 100_000

// checkPush refuses what can be seen without encoding.
func (h *Hub) checkPush(uids []string, events []*wire.Event) error {
	if uids != nil && len(uids) == 0 {
		return ErrNoUsers
	}
	if len(events) == 0 {
		return ErrNoEvents
	}
	if len(events) > h.cfg.queue() {
		return fmt.Errorf("%w: %d events, at most %d", ErrTooMany, len(events), h.cfg.queue())
	}
	receivers := 0
	for i, e := range events {
		if e == nil {
			return ErrNoEvents
		}
		if err := e.ValidateType(); err != nil {
			return eventError(err, i, len(events))
		}
		if uids == nil && e.Users != nil && len(e.Users) == 0 {
			return ErrNoUsers
		}
		if uids != nil {
			receivers += len(uids)
		} else {
			receivers += len(e.Users)
		}
	}
	if receivers > maxReceivers {
		return fmt.Errorf("%w: for %d users in all, at most %d", ErrTooMany, receivers, maxReceivers)
	}
	if len(uids) > 0 {
		probe := wire.Event{Data: "", Users: uids}
		return probe.Validate()
	}
	return nil
}

// encode writes the event's frame, with room in front for its ID and the size of
// its chunk, and the chunk's end behind. Data is of most bytes at most.
func (h *Hub) encode(e *wire.Event, most int) (*bytebufferpool.ByteBuffer, error) {
	b := h.frames.get()
	if cap(b.B) < frameRoom {
		var room [frameRoom]byte
		b.B = append(b.B[:0], room[:]...) // not more than that: what a buffer could hold counts
	}
	b.B = b.B[:frameRoom] // what is in it does not matter
	body, err := wire.AppendBodyMax(b.B, e, most)
	if errors.Is(err, wire.ErrDataTooLarge) {
		err = fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	if err != nil {
		h.frames.put(b)
		return nil, err
	}
	b.B = append(body, wire.ChunkEnd...)
	return b, nil
}
