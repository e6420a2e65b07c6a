package persist

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// reclaimDelay is how long Pebble has to give back by itself the space of what
	// was removed. It normally does: a file that a range delete covers is dropped
	// unread.
	reclaimDelay = 30 * time.Second

	// reclaimMin is how much may stay.
	reclaimMin = 16 << 20
)

// reclaim compacts the part of the database below the floor if much of it still
// takes space some time after it was removed. Pebble overlooks files that were
// being compacted at the moment when the range delete got to disk, and without
// further writes nothing makes it look again. maint is held.
func (p *Pebble) reclaim() error {
	if p.reclaimAt.IsZero() || p.cfg.clock.Now().Before(p.reclaimAt) {
		return nil
	}
	p.reclaimAt = time.Time{}
	start, end := []byte{keyRecord}, recordKey(nil, p.floor.Load()+1)
	used, err := p.gen.db.EstimateDiskUsage(start, end)
	if err != nil || used < reclaimMin {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cancel()
		select {
		case <-p.quit:
		case <-p.gen.fence.broken:
		case <-ctx.Done():
		}
	})
	defer wg.Wait()
	defer cancel()
	err = p.gen.db.Compact(ctx, start, end, false)
	if errors.Is(err, context.Canceled) {
		return errInterrupted
	}
	return err
}
