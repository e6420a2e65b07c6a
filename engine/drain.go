package engine

import (
	"context"
	"errors"
	"time"

	"github.com/spatehub/spate/ringbuf"
)

// Close is Shutdown with the hub's drain time-out.
func (h *Hub) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), h.cfg.drain)
	defer cancel()
	_ = h.Shutdown(ctx)
}

// Shutdown refuses further pushes and subscriptions, lets the log and the
// connections have what was pushed, and closes the connections as they are
// done, with a disconnect event; when ctx ends, those that are not done as
// well. What was still waiting for them has failed. It also closes the log.
//
// Pushes beside it either are delivered or return ErrClosed. One that is writing
// to a log which hangs returns when the log does: see Push.
//
// It returns ctx's error if the drain was cut short. It may be called again, to
// wait for the end of the first call; then ctx ends only this waiting.
func (h *Hub) Shutdown(ctx context.Context) error {
	if !h.life.refuse() {
		select {
		case <-h.life.closed:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	go h.finish(ctx)
	select {
	case <-h.life.closed:
	case <-ctx.Done():
		// What can be cut short ends at once now. A log or store that never
		// returns is not waited for; its goroutine ends when it does.
		select {
		case <-h.life.closed:
		case <-time.After(drainGrace):
			h.cfg.logger.Error("spate: the log did not return in time; the hub closes without it")
		}
	}
	if h.life.cutShort() {
		return ctx.Err()
	}
	return nil
}

// drainGrace is what Shutdown allows itself after its deadline.
const drainGrace = time.Second

// finish takes the hub down: publishers, journal, shards, clients, then all
// that runs.
func (h *Hub) finish(ctx context.Context) {
	defer close(h.life.closed)
	h.await(ctx, func() bool { return h.life.pushers.Load() == 0 })
	h.ring.Close()
	h.life.drain()
	h.linger.end()
	h.wakeMask(h.all)
	h.await(ctx, h.atRest)
	cut := !h.atRest()
	h.life.endDrain(cut)
	h.abandonWaits()     // publishers that still wait for the log
	close(h.life.giveUp) // and for room
	if cut {
		h.cancel() // readings of the log, and a batch on its way where the log heeds it
	}
	h.await(context.Background(), h.atRest)
	h.life.halt()
	for _, s := range h.shards {
		s.patience.end()
	}
	h.cancel()
	h.catchup.close()
	h.work.Wait()
	h.finishNotices()
	h.release()
	if h.log != nil {
		if err := h.log.Close(); err != nil {
			h.cfg.logger.Error("spate: closing the log", "err", err)
		}
	}
}

// await waits until done, or ctx ends. It looks whenever a connection closes,
// and now and then besides.
func (h *Hub) await(ctx context.Context, done func() bool) {
	pause := 20 * time.Microsecond
	for !done() {
		h.wakeMask(h.all)
		select {
		case <-ctx.Done():
			return
		case <-h.life.emptied:
		case <-time.After(pause):
			pause = min(2*pause, 10*time.Millisecond)
		}
	}
}

// atRest says whether nothing is under way, and nobody connected.
func (h *Hub) atRest() bool { return !h.life.busy() && h.drained() }

// drained says whether the log and every shard have seen everything pushed.
func (h *Hub) drained() bool {
	last := h.ring.Claimed()
	if h.journal != nil && h.journal.done.Cursor() != last {
		return false // with immediate delivery, the shards may be ahead of it
	}
	for _, s := range h.shards {
		if s.reader.Cursor() != last {
			return false
		}
	}
	return true
}

// finishNotices gives the callbacks the drain time-out.
func (h *Hub) finishNotices() {
	ctx, cancel := context.WithTimeout(context.Background(), h.cfg.drain)
	defer cancel()
	h.notices.finish(ctx)
}

// release gives back the pools and what the ring still holds.
func (h *Hub) release() {
	if h.kernel.ReleaseTimeout(time.Minute) == nil {
		h.closeWriters() // else a sink or a log still holds a runner, which may be a shard's
	}
	_ = h.workers.ReleaseTimeout(h.cfg.drain)
	h.ring.ReleaseAll()
}

// drainStep ends the clients that have everything, once the shard has seen all
// that was pushed. A client that reads the log resumes elsewhere later. At the
// deadline it ends all, and waits for none of them.
//
// It does so for a bounded cost, and goes on where it left off; it returns whether some
// are left that it could have ended.
func (s *shard) drainStep() (more bool) {
	expired := s.hub.life.expired()
	if !expired && (s.reader.Cursor() != s.hub.ring.Claimed() || s.hub.life.pushers.Load() != 0) {
		return false
	}
	s.letGoNow()
	end := s.until(s.hub.cfg.sweep)
	for len(s.early.list) > 0 {
		if s.reached(end) {
			return true
		}
		s.endEarly(s.early.pop(), ErrClosed, 0)
	}
	if s.draining == 0 {
		s.draining = len(s.books.clients)
	}
	for ; s.draining > 0; s.draining-- {
		if s.reached(end) {
			return true
		}
		s.spend(lookCost)
		if i := s.draining - 1; i < len(s.books.clients) && (expired || s.books.clients[i].state != stateLagging) {
			s.end(s.books.clients[i], ErrClosed)
		}
	}
	for i := len(s.troubled.list) - 1; expired && i >= 0; i-- {
		s.close(s.troubled.list[i], ErrClosed)
		if s.reached(end) {
			return true
		}
	}
	return false
}

// claimError says why the ring gave no room, in the hub's words.
func claimError(err error) error {
	if errors.Is(err, ringbuf.ErrClosed) {
		return ErrClosed
	}
	return err
}
