package pebblelog

import (
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// syncEvery is for how long what was appended without sync may be in danger.
const syncEvery = 100 * time.Millisecond

// lazySync brings to the disk what was appended without sync, after a while. Left
// alone, Pebble keeps up to 32 KiB to itself for as long as nothing follows, and
// loses them with the process. (To have each append handed to the system before it
// returns, one would have to ask Pebble for a sync and not do it; but it notes in
// its log what it believes to be synced, and calls it damage if a power cut took
// that.)
type lazySync struct {
	owed atomic.Bool   // there was an append since the latest sync began; whoever sets it kicks
	kick chan struct{} // of capacity 1
	done chan struct{} // closed: the goroutine has ended
}

func newLazySync() lazySync {
	return lazySync{kick: make(chan struct{}, 1), done: make(chan struct{})}
}

// appended notes that there is something to sync.
func (s *lazySync) appended() {
	if !s.owed.Load() && s.owed.CompareAndSwap(false, true) {
		s.kick <- struct{}{}
	}
}

// syncLazily is the goroutine. It ends when quit is closed.
func (p *Log) syncLazily() {
	defer close(p.lazy.done)
	for {
		select {
		case <-p.lazy.kick:
		case <-p.quit:
			return
		}
		select {
		case <-p.cfg.clock.After(syncEvery):
		case <-p.quit:
			return
		}
		p.lazy.owed.Store(false)
		p.genMu.RLock()
		upTo := p.mark.point()
		err := p.gen.sync() // the fence knows
		p.genMu.RUnlock()
		if err == nil {
			p.mark.put(upTo)
		}
	}
}

// sync makes durable what was applied.
func (g *generation) sync() error {
	if g.fence.err() == nil {
		if err := g.db.LogData(nil, pebble.Sync); err != nil {
			g.fence.fail(err)
		}
	}
	return g.fence.err()
}
