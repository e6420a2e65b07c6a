package engine

import (
	"context"
	"sync"
)

// turns lets a few at a time read pages of history, each a whole one: by source, user
// and caller, like the readers of catchup.
type turns struct {
	stop <-chan struct{} // closed with the hub

	mu struct {
		sync.Mutex
		queue   fairQueue
		waiting map[*history]chan struct{} // closed when its turn has come
		free    int
	}
}

func (t *turns) begin(many int, stop <-chan struct{}) {
	t.stop, t.mu.free, t.mu.waiting = stop, many, map[*history]chan struct{}{}
}

// await returns when it is the request's turn; it is given back by done. Where it
// returns an error, ctx's or ErrClosed, there is none to give back.
func (t *turns) await(ctx context.Context, h *history) error {
	t.mu.Lock()
	come := make(chan struct{})
	t.mu.waiting[h] = come
	t.mu.queue.push(h, h.c.cost())
	t.nextLocked()
	t.mu.Unlock()
	var err error
	select {
	case <-come:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-t.stop:
		err = ErrClosed
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, waits := t.mu.waiting[h]; waits {
		delete(t.mu.waiting, h)
		t.mu.queue.drop(h)
	} else { // it has come meanwhile
		t.mu.free++
		t.nextLocked()
	}
	return err
}

// done gives the turn back, and has the request pay for what it took: each reading of the
// log beyond the first as much as the turn itself, whatever it found, and what it got.
func (t *turns) done(h *history, readings int, p *HistoryPage) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.queue.charge(h, uint64(max(0, readings-1))*h.c.cost()+uint64(len(p.Events)/16))
	t.mu.free++
	t.nextLocked()
}

// nextLocked has those begin for whom there is room.
func (t *turns) nextLocked() {
	for t.mu.free > 0 && t.mu.queue.size > 0 {
		h := t.mu.queue.pop()
		t.mu.free--
		close(t.mu.waiting[h])
		delete(t.mu.waiting, h)
	}
}
