package engine

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync/atomic"

	"github.com/spatehub/spate/wire"
	"github.com/valyala/bytebufferpool"
)

// IDs are given by one of two: by this hub, which claims them with the places in
// the ring and has its journal say when they are kept; or by somebody else, whom
// the hub follows. A follower hands what is pushed to whoever assigns IDs, and
// takes what comes back, from itself and others, in the order of the IDs. Its own
// log, if it has one, is a replica. From the ring on the two are the same.

// AssignFunc gives events their IDs, 0 to ephemeral ones, and returns when they
// are kept as far as its promise goes. They need not have been applied by then. It
// is called by any number of goroutines, does not keep uids or events, and ends
// with ctx.
type AssignFunc func(ctx context.Context, uids []string, events []*wire.Event) (ids []uint64, err error)

// WithAssigner makes the hub a follower: Push goes to assign, and [Hub.Apply]
// brings events in. It excludes WithImmediateDelivery.
func WithAssigner(assign AssignFunc) HubOption { return func(c *config) { c.assign = assign } }

// Assigned is an event with the ID that it has; 0 for one that is ephemeral. Its
// audience is Event.Users.
type Assigned struct {
	ID    uint64
	Event *wire.Event
}

// ErrNotFollowing is returned by Apply of a hub without WithAssigner, or while
// another Apply is under way.
var ErrNotFollowing = errors.New("spate: hub follows nobody, or is applying already")

// follower is the state of a hub that follows.
type follower struct {
	assign AssignFunc
	busy   atomic.Bool // an Apply is under way; it owns last

	last eventID // applied

	// from is the ID before the first one applied in this life: what follows it is
	// known to be whole. All bits are set until then.
	from atomic.Uint64

	// The last point applied and kept. It is told before any shard delivers what
	// lies up to it, by one goroutine at a time; version is odd meanwhile.
	version, pos, id atomic.Uint64
}

func newFollower(assign AssignFunc, origin point) *follower {
	f := &follower{assign: assign, last: origin.id}
	f.from.Store(math.MaxUint64)
	f.reach(origin)
	return f
}

// reach publishes how far the hub has come.
func (f *follower) reach(p point) {
	f.version.Add(1)
	f.pos.Store(uint64(p.pos))
	f.id.Store(uint64(p.id))
	f.version.Add(1)
}

// latest is how far the hub has come.
func (f *follower) latest() point {
	for {
		v := f.version.Load()
		p := point{position(f.pos.Load()), eventID(f.id.Load())}
		if v&1 == 0 && f.version.Load() == v {
			return p
		}
	}
}

// forward hands a push to the assigner.
func (h *Hub) forward(ctx context.Context, uids []string, events []*wire.Event) ([]uint64, error) {
	for i, e := range events {
		b, err := h.encode(e) // refuses what cannot be sent
		if err != nil {
			return nil, eventError(err, i, len(events))
		}
		h.frames.put(b)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	copies := make([]*wire.Event, len(events)) // so that a push's arguments do not escape
	for i, e := range events {
		c := *e
		copies[i] = &c
	}
	ids, err := h.follow.assign(ctx, slices.Clone(uids), copies)
	if err != nil && h.ctx.Err() != nil {
		return nil, ErrClosed
	}
	return ids, err
}

// forwardAsync is forward for a caller that waits later.
func (h *Hub) forwardAsync(uids []string, events []*wire.Event) (*Result, error) {
	r := &Result{hub: h, wait: newCommitWait()}
	events = slices.Clone(events)
	for i, e := range events {
		if e != nil {
			c := *e
			events[i] = &c
		}
	}
	wait := r.wait
	go func() {
		p, err := h.push(context.Background(), uids, events, waitCommit)
		r.ids = p.ids
		wait.decide(err)
	}()
	return r, nil
}

// Apply brings in events that have IDs, in their order. Those up to the last one
// applied are passed over, so that a source may begin anew anywhere before it; IDs
// that are missing are holes. It returns when the hub's log has the events, or,
// without one, when they are in the ring. Where it fails, some of the first may
// have been applied; the rest has not, and is to be applied again. ctx ends the
// wait for room. One goroutine applies.
//
// Errors: ErrNotFollowing, ErrClosed, ErrLog, and those of Push for an event that
// cannot be.
func (h *Hub) Apply(ctx context.Context, events ...Assigned) error {
	if h.follow == nil || !h.follow.busy.CompareAndSwap(false, true) {
		return ErrNotFollowing
	}
	defer h.follow.busy.Store(false)
	if !h.life.enter() {
		return ErrClosed
	}
	defer h.life.leave()
	for len(events) > 0 {
		n := h.atOnce(events)
		if err := h.applySome(ctx, events[:n]); err != nil {
			return err
		}
		events = events[n:]
	}
	return nil
}

// atOnce returns how many of the events, which are some, make one push: those of several
// pushes together may be for more users than one push.
func (h *Hub) atOnce(events []Assigned) int {
	n, receivers := 0, 0
	for n < min(len(events), h.cfg.queue()) {
		if ev := events[n].Event; ev != nil {
			receivers += len(ev.Users)
		}
		if receivers > maxReceivers {
			break
		}
		n++
	}
	return max(n, 1)
}

func (h *Hub) applySome(ctx context.Context, some []Assigned) error {
	f := h.follow
	ids := numbering{prev: f.last}
	var events []*wire.Event
	last := f.last
	for _, a := range some {
		if a.ID != 0 && eventID(a.ID) <= last || a.Event == nil {
			continue // already there
		}
		last = max(last, eventID(a.ID))
		ev := *a.Event
		ev.Ephemeral = a.ID == 0
		events, ids.given = append(events, &ev), append(ids.given, eventID(a.ID))
	}
	if len(events) == 0 {
		return nil
	}
	if err := h.checkPush(nil, events); err != nil {
		return err
	}
	if first := ids.firstID(); f.last == 0 && first != 0 {
		ids.prev = first - 1 // what came before it is not known here
	}
	var load parcel
	bufs, err := h.pack(&load, make([]*bytebufferpool.ByteBuffer, 0, len(events)), nil, events)
	if err != nil {
		return err
	}
	if first := ids.firstID(); first != 0 && f.from.Load() == math.MaxUint64 {
		f.from.Store(uint64(first) - 1)
	}
	p, err := h.publish(ctx, &load, bufs, events, &ids, waitCommit)
	if p.last == 0 {
		return err // nothing was claimed
	}
	f.last = last
	if err != nil {
		f.last = h.committed()
	}
	return err
}

// unnumber takes the IDs of what the log refused away from its entries: the events
// will be applied again, behind them. Nothing is in the ring after the run.
func (h *Hub) unnumber(run *journalRun) {
	kept := h.slot(run.from).prev
	for p := run.from; p != run.to+1; p++ {
		e := h.slot(p)
		if e.failed {
			e.id = 0
		}
		e.prev = kept
		kept = max(kept, e.id)
	}
}

// numbering is the IDs of the events of one push.
type numbering struct {
	prev  eventID   // the one before them
	given []eventID // one for each event; nil: they count on from prev
}

// next returns the ID of event i.
func (n *numbering) next(i int, ephemeral bool) (id, prev eventID) {
	prev = n.prev
	switch {
	case ephemeral:
		return 0, prev
	case n.given != nil:
		id = n.given[i]
	default:
		id = prev + 1
	}
	n.prev = id
	return id, prev
}

// firstID returns the first ID given, 0 if all events are ephemeral.
func (n *numbering) firstID() eventID {
	for _, id := range n.given {
		if id != 0 {
			return id
		}
	}
	return 0
}
