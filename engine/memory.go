package engine

import (
	"context"
	"time"
)

// memoryFactor times config.ringBytes makes publishers wait until the shards
// have caught up. With audiences of ten thousand long names, what the ring holds is most
// of what a hub does, and Go's collector doubles it.
const memoryFactor = 2

// hungryAfter is how often a push looks for room until it is hungry.
const hungryAfter = 10

// reserve counts n bytes that a push is about to give the ring, once there is
// room for them. It waits while the ring holds too much. This is rare, and ends
// as fast as the shards pass: when they have seen everything, their history is
// within ringBytes. So it polls.
//
// A push that is larger than all the room passes as well, by itself: the bound
// is passed by one push at most. Small ones could keep it out for ever, as they find
// room again and again that is too little for it. So where one has waited for long, those
// that come now are taken only as long as all is within ringBytes, which is when it is
// let in.
func (p *framePool) reserve(ctx context.Context, h *Hub, n int64) error {
	if p.fits(n, h.cfg.ringBytes, false) {
		return nil
	}
	hungry := false
	defer func() {
		if hungry {
			p.hungry.Add(-1)
		}
	}()
	for i := 0; !p.fits(n, h.cfg.ringBytes, hungry); i++ {
		if i == hungryAfter {
			hungry = true
			p.hungry.Add(1)
		}
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
	return nil
}

// fits counts n bytes, if there is room for them.
func (p *framePool) fits(n, ringBytes int64, hungry bool) bool {
	scarce := p.hungry.Load() > 0
	bound := ringBytes
	if !scarce {
		bound *= memoryFactor
	}
	// Added first, which is cheaper than to look and swap. Where it is too much
	// it is taken back; who came meanwhile waits for a round too much at worst.
	held := p.held.Add(n)
	if held <= bound || (hungry || !scarce) && held-n <= ringBytes {
		return true
	}
	p.held.Add(-n)
	return false
}
