package engine

import (
	"context"
	"fmt"
	"time"

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
// *wire.FieldError, and ErrLog.
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
	return appendIDs(make([]uint64, 0, len(events)), p.first, events), nil
}

// PushAsync is Push that does not wait for the log. It still waits for room in
// the ring, which is how publishers are slowed down when the log cannot keep
// up.
func (h *Hub) PushAsync(uids []string, events ...*wire.Event) (*Result, error) {
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

// appendIDs lists the IDs of a push that began at first.
func appendIDs(ids []uint64, first uint64, events []*wire.Event) []uint64 {
	for i, e := range events {
		id := first + uint64(i)
		if e.Ephemeral {
			id = 0
		}
		ids = append(ids, id)
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
	first uint64
	wait  *commitWait // in mode keepWait
}

// audience is whom one event of a push is for.
type audience struct {
	users   []string // several, sorted
	one     string
	private bool
	mask    uint64
}

func (h *Hub) push(ctx context.Context, uids []string, events []*wire.Event, mode pushMode) (p pushed, err error) {
	if h.closing.Load() { // not counted: Shutdown waits for those that are
		return p, ErrClosed
	}
	h.pushers.Add(1)
	defer h.pushers.Add(-1)
	if h.closing.Load() {
		return p, ErrClosed
	}
	if err := h.checkPush(uids, events); err != nil {
		return p, err
	}
	var few [4]*bytebufferpool.ByteBuffer
	bufs := few[:0]
	var whom audience
	if uids != nil {
		whom = h.audienceOf(uids)
	}
	for i, e := range events {
		b, err := h.encode(e)
		if err != nil {
			h.putBack(bufs)
			if len(events) > 1 {
				err = fmt.Errorf("events[%d]: %w", i, err)
			}
			return p, err
		}
		bufs = append(bufs, b)
	}
	if err := h.awaitMemory(ctx); err != nil {
		h.putBack(bufs)
		return p, err
	}
	p.first, err = h.ring.Claim(ctx, len(events))
	if err != nil {
		h.putBack(bufs)
		return p, claimError(err)
	}
	var wait *commitWait
	if h.journal != nil {
		wait = h.lendWait()
	}
	mask := h.fillSlots(p.first, bufs, events, uids, whom, wait)
	last := p.first + uint64(len(events)) - 1
	h.ring.Publish(p.first, len(events))
	if h.journal == nil || h.cfg.immediate {
		if h.ring.Claimed() != last {
			mask = h.all // later pushes, of whatever audience, may have been held back by this one
		}
		h.wakeFor(p.first, last, mask)
	}
	if wait == nil {
		return p, nil
	}
	h.seeToCommit(ctx, wait, mode)
	if mode == keepWait {
		p.wait = wait
		return p, nil
	}
	_, err = h.awaitCommit(ctx, wait)
	return p, err
}

// seeToCommit makes sure that somebody commits what was published.
func (h *Hub) seeToCommit(ctx context.Context, wait *commitWait, mode pushMode) {
	if h.gaveUp.Load() {
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

// fillSlots hands the encoded events to the ring and returns the shards
// concerned. From Publish on the slots belong to the readers.
func (h *Hub) fillSlots(first uint64, bufs []*bytebufferpool.ByteBuffer, events []*wire.Event, uids []string, whom audience, wait *commitWait) (mask uint64) {
	var held int64
	for i, ev := range events {
		seq := first + uint64(i)
		e := h.ring.Slot(seq)
		e.buf, e.ephemeral = bufs[i], ev.Ephemeral
		e.seal(seq)
		a := whom
		if uids == nil {
			a = audience{mask: h.all}
			if ev.Users != nil {
				a = h.audienceOf(ev.Users)
			}
		}
		e.one[0], e.users, e.private, e.mask = a.one, a.users, a.private, a.mask
		e.topic, e.key = ev.Topic, ev.Key
		if wait != nil {
			e.wait.Store(wait)
		}
		e.last = i == len(events)-1
		e.tally.Store(uint64(len(h.shards)))
		mask |= a.mask
		held += int64(len(e.buf.B))
	}
	h.frames.held.Add(held)
	return mask
}

// audienceOf resolves a list of users, which the caller keeps, to one of ours.
func (h *Hub) audienceOf(uids []string) audience {
	a := audience{private: true}
	if len(uids) > 1 {
		a.users = sortedUnique(uids)
		for _, u := range a.users {
			a.mask |= 1 << h.shardOf(u)
		}
		return a
	}
	a.one = uids[0]
	a.mask = 1 << h.shardOf(a.one)
	return a
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
	for _, e := range events {
		if e == nil {
			return ErrNoEvents
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
// its chunk, and the chunk's end behind.
func (h *Hub) encode(e *wire.Event) (*bytebufferpool.ByteBuffer, error) {
	b := h.frames.get()
	b.Reset()
	var room [frameRoom]byte
	b.B = append(b.B, room[:]...)
	body, err := wire.AppendBody(b.B, e)
	if err == nil && len(body) > h.cfg.maxEvent {
		err = fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(body), h.cfg.maxEvent)
	}
	if err != nil {
		h.frames.put(b)
		return nil, err
	}
	b.B = append(body, wire.ChunkEnd...)
	return b, nil
}

func (h *Hub) putBack(bufs []*bytebufferpool.ByteBuffer) {
	for _, b := range bufs {
		h.frames.put(b)
	}
}

// memoryFactor times config.ringBytes makes publishers wait until the shards
// have caught up.
const memoryFactor = 4

// awaitMemory waits while the ring holds too many bytes. This is rare, and
// ends as fast as the shards pass: when they have seen everything, their
// history is within ringBytes. So it polls.
func (h *Hub) awaitMemory(ctx context.Context) error {
	for h.frames.held.Load() > memoryFactor*h.cfg.ringBytes {
		h.wakeMask(h.all)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-h.giveUp:
			return ErrClosed
		case <-time.After(100 * time.Microsecond):
		}
	}
	return nil
}
