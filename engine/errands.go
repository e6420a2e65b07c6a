package engine

import (
	"context"

	"github.com/spatehub/spate/ringbuf"
)

// An errand is work that somebody outside asks of a shard: to look at its clients,
// or to end some. It goes to the shard, as all that it owns is the shard's alone,
// and is done in parts that fit into a pass's budget, so that a look at very many
// clients keeps no event waiting.

// errands are those of one shard.
type errands struct {
	inbox ringbuf.Mailbox[*errand]
	open  []*errand // the runner's
	mails int       // that the shard has taken; the runner's
}

// errand is one piece of work for one shard.
type errand struct {
	node ringbuf.Node[*errand]
	ctx  context.Context
	done chan struct{} // closed by the shard: what step has written may be read
	err  error         // ctx's, where it ended before the work was done; as what step has written

	// Whoever joined before the errand came is in the mail before it. So it begins when
	// the mail was found empty, or this many were taken: each connection is in there once.
	// Then those of them come that wait in the shard's joins: at this many taken.
	mails, joins int
	read, begun  bool

	// step does a part of the work and stops once s.cost has reached end.
	step func(s *shard, end int) progress
}

// progress says how far a step has come.
type progress uint8

const (
	errandDone progress = iota
	errandMore          // to be gone on with in the next pass
	errandTick          // to be gone on with at the next tick
)

// errand has the shard do a piece of work and waits for it. If it returns an
// error, ctx's or ErrClosed, step may still be under way.
func (h *Hub) errand(ctx context.Context, s *shard, step func(s *shard, end int) progress) error {
	e := &errand{ctx: ctx, done: make(chan struct{}), step: step}
	e.node.Value = e
	s.errands.inbox.Put(&e.node)
	s.wake()
	select {
	case <-e.done:
		return e.err
	case <-ctx.Done():
		return ctx.Err()
	case <-h.life.stop:
		return ErrClosed
	}
}

// runErrands goes on with all that is open, each for its share of the budget.
func (s *shard) runErrands() (more bool) {
	w := &s.errands
	for n := w.inbox.Take(); n != nil; n = w.inbox.Take() {
		n.Value.mails = w.mails + int(s.hub.life.online.Load())
		w.open = append(w.open, n.Value)
	}
	budget := s.hub.cfg.sweep
	for left := len(w.open); left > 0; left-- {
		e := w.open[0]
		w.open[0] = nil
		w.open = w.open[1:]
		state := errandDone
		e.err = e.ctx.Err()
		switch {
		case e.err != nil:
		case !s.mayBegin(e):
			state = errandMore
		default:
			share := max(budget/left, lookCost)
			before := s.cost
			state = e.step(s, before+share)
			budget -= min(budget, s.cost-before)
		}
		if state == errandDone {
			close(e.done)
			continue
		}
		more = more || state == errandMore
		w.open = append(w.open, e)
	}
	if len(w.open) == 0 {
		w.open = nil
	}
	return more
}

// mayBegin says whether an errand has begun, or begins now.
func (s *shard) mayBegin(e *errand) bool {
	if !e.read && (s.mail.Empty() || s.errands.mails-e.mails >= 0) {
		e.read, e.joins = true, s.joins.taken+len(s.joins.list)
	}
	e.begun = e.begun || e.read && s.joins.taken-e.joins >= 0
	return e.begun
}
