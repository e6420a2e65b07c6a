package persist

import (
	"context"
	"time"

	"github.com/spatehub/spate/wire"
)

// BeginRun implements [Runs].
func (l *storeLog) BeginRun(first uint64) error {
	last := l.Last()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed {
		return ErrClosed
	}
	if err := CheckRun(first, last); err != nil {
		return err
	}
	l.mu.runs, _, _ = l.mu.runs.Begin(first, last)
	return nil
}

// Issued implements [Runs].
func (l *storeLog) Issued(ctx context.Context, id uint64) (bool, error) {
	l.mu.Lock()
	in := l.mu.runs.In(id, l.mu.last)
	l.mu.Unlock()
	if in {
		return true, ctx.Err()
	}
	return l.Has(ctx, id)
}

// HighWater implements [Runs].
func (l *storeLog) HighWater() uint64 { return l.Last() }

// ticksPerMicrosecond is how finely hubs count time for IDs.
const ticksPerMicrosecond = 4

// askFor bounds how long a Store is asked on behalf of those who have no context: a
// hub that starts, and statistics.
const askFor = 5 * time.Second

// lookAhead asks the Store, once, for events with IDs ahead of the clock. A hub that
// took its IDs from the clock would have each of them refused, until the clock got
// there. What is not ahead does not matter, and most Stores find that out at once.
func (l *storeLog) lookAhead() {
	l.looking.Lock()
	defer l.looking.Unlock()
	l.mu.Lock()
	done := l.mu.looked || l.mu.closed || l.mu.started != 0
	types := l.typesLocked()
	l.mu.Unlock()
	if done {
		return
	}
	ctx, cancel := context.WithTimeout(l.life, askFor)
	defer cancel()
	now := uint64(l.cfg.clock.Now().UnixMicro()) * ticksPerMicrosecond
	newest := uint64(0)
	for _, t := range types {
		err := l.list(ctx, t, now, func(_ *wire.Event, id uint64) bool {
			newest = max(newest, id)
			return true
		})
		if err != nil {
			l.cfg.logger.Warn("persist: the store was not found out about", "err", err)
			l.mu.Lock()
			// A Store that is only slow would be so each time, and hold whoever asks.
			l.mu.looked = ctx.Err() != nil
			l.mu.Unlock()
			return
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.looked = true
	if newest > l.mu.last {
		l.mu.last = newest
		l.cfg.logger.Warn("persist: the store has events whose IDs are ahead of the clock; new ones follow them", "last", newest)
	}
}

func (l *storeLog) typesLocked() []string {
	types := make([]string, 0, len(l.mu.types))
	for t := range l.mu.types {
		types = append(types, t)
	}
	return types
}
