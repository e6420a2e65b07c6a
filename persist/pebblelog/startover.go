package pebblelog

import (
	"fmt"

	"github.com/spatehub/spate/persist"
)

// StartOver implements [persist.Replica]. It is not synced: what comes back after a
// power cut is the log from before, as a whole.
func (p *Log) StartOver(at uint64) error {
	g, err := p.lockAll()
	if err != nil {
		return err
	}
	defer p.maint.Unlock()
	defer p.appending.Unlock()
	if acked := p.acked.Load(); at <= acked {
		return fmt.Errorf("%w: to start over at %d, after %d", persist.ErrOrder, at, acked)
	}
	p.mu.Lock()
	counting, floor := p.mu.topics.Len() > 0, p.mu.floor
	p.mu.Unlock()
	var lost map[string]*topicCount
	if counting {
		if lost, err = p.countTopics(floor, p.acked.Load(), p.quitting); err != nil {
			return failure(err)
		}
	}
	b := g.db.NewBatch()
	defer func() { _ = b.Close() }()
	p.mu.Lock()
	p.acked.Store(at)
	g.acked = at
	p.dropLocked(b, len(p.mu.chunks), at, lost)
	p.mu.Unlock()
	p.appending.begun = at
	if err := g.apply(b, false); err != nil {
		return failure(err)
	}
	p.mark.acked(at, 0)
	return p.findFirst()
}

// lockAll locks maint and appending, and returns the generation to write to; a failed
// one is healed first.
func (p *Log) lockAll() (*generation, error) {
	for {
		p.maint.Lock()
		p.appending.Lock()
		switch {
		case p.closed:
			p.appending.Unlock()
			p.maint.Unlock()
			return nil, persist.ErrClosed
		case p.gen.fence.err() == nil:
			return p.gen, nil
		}
		p.appending.Unlock()
		p.maint.Unlock()
		if err := p.healNow(); err != nil {
			return nil, err
		}
	}
}

var _ persist.Replica = (*Log)(nil)
