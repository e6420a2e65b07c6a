package engine

import (
	"context"
	"time"
)

// memoryFactor times config.ringBytes makes publishers wait until the shards
// have caught up.
const memoryFactor = 4

// reserve counts n bytes that a push is about to give the ring, once there is
// room for them. It waits while the ring holds too much. This is rare, and ends
// as fast as the shards pass: when they have seen everything, their history is
// within ringBytes. So it polls.
//
// A push that is larger than all the room passes as well, by itself: the bound
// is passed by one push at most.
func (p *framePool) reserve(ctx context.Context, h *Hub, n int64) error {
	bound := memoryFactor * h.cfg.ringBytes
	for {
		// Added first, which is cheaper than to look and swap. Where it is too much
		// it is taken back; who came meanwhile waits for a round too much at worst.
		held := p.held.Add(n)
		if held <= bound || held-n <= h.cfg.ringBytes {
			return nil
		}
		p.held.Add(-n)
		h.linger.hurry()
		h.wakeMask(h.all)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-h.life.giveUp:
			return ErrClosed
		case <-time.After(100 * time.Microsecond):
		}
	}
}
