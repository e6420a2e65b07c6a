package cluster

import (
	"context"
	"sync"
	"time"
)

// headPause is kept between two questions for the head: clients with IDs that they
// have made up cost the cluster no more than that.
const headPause = 100 * time.Millisecond

// heads asks for the head, once for all who come while it is being asked.
type heads struct {
	ask func(ctx context.Context) (uint64, error)

	mu    sync.Mutex
	next  *headCall // not begun: whoever comes may join
	busy  bool
	begun time.Time
	life  context.Context // nil: not begun, or over

	running sync.WaitGroup
}

// begin lets questions be asked until ctx ends.
func (h *heads) begin(ctx context.Context) {
	h.mu.Lock()
	h.life = ctx
	h.mu.Unlock()
}

// end waits for the question under way; none is asked after it.
func (h *heads) end() {
	h.mu.Lock()
	h.life = nil
	h.mu.Unlock()
	h.running.Wait()
}

// headCall is one question and its answer.
type headCall struct {
	done chan struct{}
	id   uint64
	err  error
}

// get returns the answer to a question that was asked after get was called.
func (h *heads) get(ctx context.Context) (uint64, error) {
	h.mu.Lock()
	if h.life == nil || h.life.Err() != nil {
		h.mu.Unlock()
		return 0, errSilent
	}
	call := h.next
	if call == nil {
		call = &headCall{done: make(chan struct{})}
		h.next = call
		if !h.busy {
			h.busy = true
			life := h.life
			h.running.Go(func() { h.run(life) })
		}
	}
	h.mu.Unlock()
	select {
	case <-call.done:
		return call.id, call.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// run asks until nobody waits.
func (h *heads) run(ctx context.Context) {
	for {
		h.mu.Lock()
		if h.next == nil {
			h.busy = false
			h.mu.Unlock()
			return
		}
		pause := time.Until(h.begun.Add(headPause))
		if pause <= 0 {
			call := h.next
			h.next, h.begun = nil, time.Now()
			h.mu.Unlock()
			try, cancel := context.WithTimeout(ctx, defaultAttempt)
			call.id, call.err = h.ask(try)
			cancel()
			close(call.done)
			continue
		}
		h.mu.Unlock()
		time.Sleep(pause)
	}
}
