package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/spatehub/spate/persist"
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
// is called by any number of goroutines. The events are its own; their data is a
// string, []byte or json.RawMessage. It ends with ctx.
type AssignFunc func(ctx context.Context, uids []string, events []*wire.Event) (ids []uint64, err error)

// WithAssigner makes the hub a follower: Push goes to assign, and [Hub.Apply]
// brings events in. It excludes WithImmediateDelivery.
func WithAssigner(assign AssignFunc) HubOption { return func(c *config) { c.assign = assign } }

// Source is whom a hub follows, where others give IDs too. Its methods but Feed are
// called by any number of goroutines.
type Source interface {
	// Assign is an AssignFunc.
	Assign(ctx context.Context, uids []string, events []*wire.Event) (ids []uint64, err error)

	// Head returns an ID that is not lower than any that was given by whomever
	// before the call.
	Head(ctx context.Context) (uint64, error)

	// Admit returns nil, or why no connection may begin at present; the error wraps
	// ErrUnready.
	Admit() error

	// Ready returns nil, or why the hub should get no new connections and pushes.
	Ready() error

	// Feed is run by the hub for the whole of its life. It calls Apply, Skip and
	// Lose of h, and ends with ctx, which ends once no push waits any more.
	Feed(ctx context.Context, h *Hub)
}

// WithSource makes the hub follow src. It needs a log that is a persist.Replica,
// else Lose fails, and it excludes WithImmediateDelivery.
func WithSource(src Source) HubOption {
	return func(c *config) { c.source, c.assign = src, src.Assign }
}

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
	async  chan struct{} // room for the pushes of PushAsync that are under way
	busy   atomic.Bool   // an Apply is under way; it owns last

	last eventID // applied

	// from is the ID after which what this life of the hub has is known to be whole.
	// All bits are set until something was applied.
	from atomic.Uint64

	lost atomic.Uint64 // the ID given to Lose last

	// The last point applied and kept. It is told before any shard delivers what
	// lies up to it, by one goroutine at a time; version is odd meanwhile.
	version, pos, id atomic.Uint64

	// bell is closed, and taken away, when the hub has come further. Whoever waits
	// hangs it up.
	bell atomic.Pointer[chan struct{}]
}

func newFollower(cfg *config, origin point) *follower {
	f := &follower{assign: cfg.assign, last: origin.id, async: make(chan struct{}, cfg.queue())}
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
	if f.bell.Load() != nil {
		if bell := f.bell.Swap(nil); bell != nil {
			close(*bell)
		}
	}
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

// reachTime bounds how long a connection waits for its hub to reach the ID that it
// has from another one. For reachSoon the source is not asked whether there is one.
const (
	reachTime = 3 * time.Second
	reachSoon = 100 * time.Millisecond
)

// awaitID waits until the hub has reached an ID that others may have given, and
// returns where it is then. That may be before the ID: nobody gave it.
func (h *Hub) awaitID(ctx context.Context, id eventID) (point, error) {
	ctx, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	if at, reached := h.awaitReached(ctx, id, reachSoon); reached {
		return at, nil
	}
	head, err := h.cfg.source.Head(ctx)
	if err != nil {
		return point{}, fmt.Errorf("%w: whether others gave ID %d is not to be found out: %w", ErrUnready, id, err)
	}
	at, reached := h.awaitReached(ctx, min(id, eventID(head)), reachTime)
	if !reached {
		return point{}, fmt.Errorf("%w: it has not reached ID %d yet", ErrUnready, id)
	}
	return at, nil
}

// awaitReached waits until the hub has reached an ID, until ctx or the time is over.
func (h *Hub) awaitReached(ctx context.Context, id eventID, most time.Duration) (at point, reached bool) {
	over := time.NewTimer(most)
	defer over.Stop()
	for {
		bell := h.follow.bell.Load()
		if bell == nil {
			c := make(chan struct{})
			if !h.follow.bell.CompareAndSwap(nil, &c) {
				continue
			}
			bell = &c
		}
		if at = h.latest(); at.id >= id {
			return at, true
		}
		select {
		case <-*bell:
		case <-over.C:
			return at, false
		case <-ctx.Done():
			return at, false
		}
	}
}

// forward hands a push to the assigner.
func (h *Hub) forward(ctx context.Context, uids []string, events []*wire.Event) ([]uint64, error) {
	return h.forwardTo(ctx, h.follow.assign, uids, events)
}

func (h *Hub) forwardTo(ctx context.Context, assign AssignFunc, uids []string, events []*wire.Event) ([]uint64, error) {
	own := make([]*wire.Event, len(events)) // so that a push's arguments do not escape
	for i, e := range events {
		c := *e
		switch data := e.Data.(type) {
		case string:
		case []byte:
			c.Data = slices.Clone(data)
		default:
			b, err := wire.AppendData(nil, data)
			if err != nil {
				return nil, eventError(err, i, len(events))
			}
			c.Data = b
		}
		c.Users = slices.Clone(c.Users)
		b, err := h.encode(&c, h.cfg.maxEvent) // refuses what cannot be sent
		if err != nil {
			return nil, eventError(err, i, len(events))
		}
		h.frames.put(b)
		own[i] = &c
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	ids, err := assign(ctx, slices.Clone(uids), own)
	if err != nil && h.ctx.Err() != nil {
		return nil, ErrClosed
	}
	return ids, err
}

// forwardAsync is forward for a caller that waits later. It waits while very many are
// under way. Of two that are under way, either may come first.
func (h *Hub) forwardAsync(uids []string, events []*wire.Event) (*Result, error) {
	select {
	case h.follow.async <- struct{}{}:
	case <-h.ctx.Done():
		return nil, ErrClosed
	}
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
		<-h.follow.async
		r.ids = p.ids
		wait.decide(err)
	}()
	return r, nil
}

// begin takes the role of the one who applies. It is let in while the hub drains, as
// pushes wait for what is applied.
func (f *follower) begin(h *Hub) error {
	if f == nil || !f.busy.CompareAndSwap(false, true) {
		return ErrNotFollowing
	}
	if h.life.drains() {
		f.busy.Store(false)
		return ErrClosed
	}
	return nil
}

// Apply brings in events that have IDs, in their order. Those up to the last one
// applied are passed over, so that a source may begin anew anywhere before it; IDs
// that are missing are holes. It returns when the hub's log has the events, or,
// without one, when they are in the ring. Where it fails, some of the first may
// have been applied; the rest has not, and is to be applied again. ctx ends the
// wait for room. One goroutine applies.
//
// Errors: ErrNotFollowing, ErrClosed, ErrLog, and those of Push for an event that
// cannot be, but for ErrTooLarge: whoever took it has judged that.
func (h *Hub) Apply(ctx context.Context, events ...Assigned) error {
	if err := h.follow.begin(h); err != nil {
		return err
	}
	defer h.follow.busy.Store(false)
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
		if a.Event == nil {
			return ErrNoEvents
		}
		if a.ID != 0 && eventID(a.ID) <= last {
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
	load := parcel{any: true}
	bufs, err := h.pack(&load, make([]*bytebufferpool.ByteBuffer, 0, len(events)), nil, events)
	if err != nil {
		return err
	}
	if ids.firstID() != 0 && f.from.Load() == math.MaxUint64 {
		f.from.Store(uint64(ids.prev))
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

// Skip tells that nothing was published between the last event applied and the ID:
// who names that ID, or one between, has missed nothing. One goroutine applies and
// skips. Errors: those of Apply.
func (h *Hub) Skip(ctx context.Context, to uint64) error {
	if err := h.follow.begin(h); err != nil {
		return err
	}
	defer h.follow.busy.Store(false)
	f := h.follow
	if eventID(to) <= f.last {
		return nil
	}
	if f.from.Load() == math.MaxUint64 {
		f.from.Store(uint64(f.last))
		if f.last == 0 {
			f.from.Store(to) // of what was before it nothing is known
		}
	}
	return h.moveTo(ctx, eventID(to))
}

// Lose tells that what lies between the last event applied and the ID is not to be
// had any more. The log starts over behind it, all connections end with ErrHistory,
// and who comes back is told of the gap. One goroutine applies and loses. Where it
// fails, it is to be called again.
//
// Errors: those of Apply; persist.ErrNoReplica, where the log can't start over.
func (h *Hub) Lose(ctx context.Context, to uint64) error {
	if err := h.follow.begin(h); err != nil {
		return err
	}
	defer h.follow.busy.Store(false)
	f := h.follow
	if eventID(to) <= f.last {
		return nil
	}
	replica, ok := h.log.(persist.Replica)
	if !ok {
		return fmt.Errorf("%w: %w", ErrLog, persist.ErrNoReplica)
	}
	if h.log.Last() < to {
		if err := replica.StartOver(to); err != nil {
			return fmt.Errorf("%w: %w", ErrLog, err)
		}
	}
	f.from.Store(to)
	f.lost.Store(to)
	h.Dismiss(ErrHistory)
	return h.moveTo(ctx, eventID(to))
}

// moveTo brings the hub to an ID at which there is no event. It puts two entries into
// the ring that nobody gets: what is before the first has the old ID and not the new
// one, and what is after the first has the new one.
func (h *Hub) moveTo(ctx context.Context, to eventID) error {
	events := []*wire.Event{{Data: "", Ephemeral: true}, {Data: "", Ephemeral: true}}
	var load parcel
	bufs, err := h.pack(&load, make([]*bytebufferpool.ByteBuffer, 0, len(events)), nil, events)
	if err != nil {
		return err
	}
	p, err := h.publish(ctx, &load, bufs, events, &numbering{prev: h.follow.last, mark: to}, waitCommit)
	if p.last != 0 {
		h.follow.last = to
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
	mark  eventID   // not 0: the events are none, and bring the hub to this ID
}

// next returns the ID of event i.
func (n *numbering) next(i int, ephemeral bool) (id, prev eventID) {
	prev = n.prev
	switch {
	case n.mark != 0:
		n.prev = n.mark
		return 0, prev
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
