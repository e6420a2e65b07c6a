package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// Feed implements [engine.Source]: it follows the orderer and applies what comes.
func (n *Node) Feed(ctx context.Context, hub *engine.Hub) {
	n.pos.Store(hub.LastID())
	n.heads.begin(ctx)
	defer n.heads.end()
	var restart atomic.Pointer[context.CancelFunc]
	var watching sync.WaitGroup
	watching.Go(func() {
		n.watch(ctx, hub, func() {
			if cancel := restart.Load(); cancel != nil {
				n.cfg.logger.Warn("cluster: others are further, and nothing comes; following anew", "position", n.pos.Load())
				(*cancel)()
			}
		})
	})
	if n.presence != nil {
		watching.Go(func() { n.presence.run(ctx) })
	}
	defer watching.Wait()
	for ctx.Err() == nil {
		try, cancel := context.WithCancel(ctx)
		restart.Store(&cancel)
		err := n.follow(try, hub)
		cancel()
		if ctx.Err() != nil {
			return
		}
		n.mu.Lock()
		n.health.why = err
		n.mu.Unlock()
		n.cfg.logger.Debug("cluster: following ended", "position", n.pos.Load(), "err", err)
		select {
		case <-time.After(jitter(200 * time.Millisecond)):
		case <-ctx.Done():
		}
	}
}

// follow follows until something is wrong.
func (n *Node) follow(ctx context.Context, hub *engine.Hub) error {
	try, cancel := context.WithTimeout(ctx, n.cfg.attempt)
	origin, err := n.orderer.Origin(try)
	cancel()
	if err != nil {
		return err
	}
	if n.pos.Load() < origin {
		move := hub.Lose // the stream is another one
		if n.pos.Load() == 0 {
			move = hub.Skip
		}
		n.loses()
		if err := n.persist(ctx, func() error { return move(ctx, origin) }); err != nil {
			return err
		}
		n.pos.Store(origin)
	}
	head, err := n.heads.get(ctx)
	if err != nil {
		return err
	}
	if head < n.pos.Load() {
		n.fail(errStreamBehind)
		return errStreamBehind
	}
	n.mu.Lock()
	behind := errors.Is(n.health.failed, errStreamBehind)
	n.mu.Unlock()
	if behind {
		n.fail(nil)
	}
	n.hear(head)
	return n.orderer.Follow(ctx, n.pos.Load(), func(p Page) error { return n.apply(ctx, hub, &p) })
}

// apply applies a page, and does not return before it has, but for an error of the
// page or ctx.
func (n *Node) apply(ctx context.Context, hub *engine.Hub, p *Page) error {
	began := n.pos.Load()
	pos := began
	if p.After > pos {
		n.cfg.logger.Error("cluster: events are lost to this hub", "after", pos, "to", p.After)
		n.loses()
		if err := n.persist(ctx, func() error { return hub.Lose(ctx, p.After) }); err != nil {
			return err
		}
		pos = p.After
	}
	fresh, err := p.since(pos)
	if err != nil {
		return err
	}
	if err := n.applyInOrder(ctx, hub, fresh, p.Notes); err != nil {
		return err
	}
	if p.UpTo > pos {
		if err := n.persist(ctx, func() error { return hub.Skip(ctx, p.UpTo) }); err != nil {
			return err
		}
	}
	n.tellNotes(p.Notes)
	n.presence.look(p.Values)
	n.pos.Store(max(pos, p.UpTo))
	n.answer(fresh)
	if p.UpTo > began {
		n.hear(0) // else it is none of the stream: what is ephemeral comes from hubs that hear nothing too
	}
	return nil
}

// since returns the page's entries behind an ID.
func (p *Page) since(pos uint64) (fresh []Entry, err error) {
	fresh = make([]Entry, 0, len(p.Entries))
	last := pos
	for i := range p.Entries {
		e := &p.Entries[i]
		switch {
		case e.ID == 0:
		case e.ID <= pos:
			continue // it came again
		case e.ID <= last || e.ID > p.UpTo:
			return nil, fmt.Errorf("cluster: page after %d up to %d has ID %d after %d", p.After, p.UpTo, e.ID, last)
		default:
			last = e.ID
		}
		fresh = append(fresh, *e)
	}
	return fresh, nil
}

// applyInOrder applies entries, and says each word among the notes before what is behind it.
func (n *Node) applyInOrder(ctx context.Context, hub *engine.Hub, entries []Entry, notes []Note) error {
	for i := range notes {
		word := &notes[i]
		if n.said == nil || !word.isWord() {
			continue
		}
		behind := slices.IndexFunc(entries, func(e Entry) bool { return e.ID > word.ID })
		if behind < 0 {
			behind = len(entries)
		}
		if err := n.applyEntries(ctx, hub, entries[:behind]); err != nil {
			return err
		}
		n.said(word.Data)
		entries = entries[behind:]
	}
	return n.applyEntries(ctx, hub, entries)
}

func (n *Node) applyEntries(ctx context.Context, hub *engine.Hub, entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	some := make([]engine.Assigned, len(entries))
	for i := range entries {
		some[i] = engine.Assigned{ID: entries[i].ID, Event: entries[i].Event}
	}
	err := n.persist(ctx, func() error { return hub.Apply(ctx, some...) })
	if impossible(err) {
		err = n.applyEach(ctx, hub, some)
	}
	return err
}

// loses tells that a part of the stream is about to be passed over.
func (n *Node) loses() {
	if n.lost != nil {
		n.lost()
	}
	n.presence.loses()
}

// applyEach applies events one by one. What can be no event of this hub, such as one of
// a later release with other bounds, is lost to it: clients are told of a gap.
func (n *Node) applyEach(ctx context.Context, hub *engine.Hub, some []engine.Assigned) error {
	applied := hub.LastID()
	begin := 0
	for i := range some { // what is ephemeral is passed on once
		if id := some[i].ID; id != 0 && id <= applied {
			begin = i + 1
		}
	}
	for _, a := range some[begin:] {
		err := n.persist(ctx, func() error { return hub.Apply(ctx, a) })
		if impossible(err) {
			n.cfg.logger.Error("cluster: an event cannot be applied and is lost to this hub; are its hubs of different releases?", "id", a.ID, "err", err)
			if err = nil; a.ID != 0 {
				err = n.persist(ctx, func() error { return hub.Lose(ctx, a.ID) })
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// impossible says whether an error of Apply is one of the events, which no other try
// would help.
func impossible(err error) bool {
	field := (*wire.FieldError)(nil)
	return err != nil && !errors.Is(err, engine.ErrLog) &&
		(errors.As(err, &field) || errors.Is(err, engine.ErrTooMany) || errors.Is(err, engine.ErrNoUsers) || errors.Is(err, engine.ErrNoEvents))
}

// persist repeats what the hub's log does not take: nothing is ever left out. A log that
// can't start over never takes a loss; the node then stays unready, and says why.
func (n *Node) persist(ctx context.Context, do func() error) error {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		err := do()
		switch {
		case err == nil:
			n.recovered()
			return nil
		case errors.Is(err, engine.ErrClosed), ctx.Err() != nil, impossible(err):
			return err
		}
		n.fail(err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// recovered notes that the log takes events.
func (n *Node) recovered() {
	n.mu.Lock()
	failed := n.health.failed != nil
	n.mu.Unlock()
	if failed {
		n.fail(nil)
	}
}
