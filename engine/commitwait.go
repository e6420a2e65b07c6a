package engine

import (
	"context"
	"sync/atomic"
)

// commitWait lets a publisher wait for the log's verdict on its push. Whoever
// moves decided owns the verdict and sends it; after that only the publisher
// touches the wait, and lends it again.
//
// It is a channel for each rather than one that a batch closes: that costs as
// much to wake, and a publisher would be woken by batches that are not its own.
type commitWait struct {
	decided atomic.Bool
	done    chan error // of capacity 1: the verdict

	// err is why an event of the push was not taken. Only the journal uses it,
	// before it decides.
	err error
}

func newCommitWait() *commitWait { return &commitWait{done: make(chan error, 1)} }

// lendWait returns a wait that nobody decides or waits for.
func (h *Hub) lendWait() *commitWait {
	w := h.waits.Get().(*commitWait)
	w.err = nil
	w.decided.Store(false)
	return w
}

// decide sends the verdict, unless somebody else has.
func (w *commitWait) decide(err error) {
	if w.decided.CompareAndSwap(false, true) {
		w.done <- err
	}
}

// awaitCommit waits for the verdict, which Shutdown gives at the latest, and
// takes the wait back. It is not reused where the journal may still hold it: when
// ctx ends first, whose error is returned, and when Shutdown may have decided.
func (h *Hub) awaitCommit(ctx context.Context, w *commitWait) (decided bool, err error) {
	if ctx.Done() == nil {
		err = <-w.done // half the cost of a select
	} else {
		select {
		case err = <-w.done:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	if !h.life.gaveUp() {
		h.waits.Put(w)
	}
	return true, err
}

// abandonWaits decides all pushes that the log has not decided, once the drain has
// ended. The ring is
// closed, so slots may be released meanwhile but not filled again: a wait found
// here belongs to a push that is under way. A push that was not seen here, as
// its slots were not filled yet, sees that the hub gave up.
func (h *Hub) abandonWaits() {
	if h.journal == nil {
		return
	}
	for p := position(h.journal.done.Cursor()) + 1; !position(h.ring.Claimed()).before(p); p++ {
		if w := h.ring.Peek(uint64(p)).wait.Load(); w != nil {
			w.decide(ErrClosed)
		}
	}
}
