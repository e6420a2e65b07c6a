package clock

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// alarms are those of a clock.
type alarms struct {
	// next is the earliest time of the list that mu guards, or 0: stored with the lock
	// held, read by Overdue without it, which may be a moment late.
	next atomic.Int64
	mu   struct {
		sync.Mutex
		due []int64
	}
}

// grace is how late an alarm is before anybody is asked to let others run: with a
// processor of its own, or where the kernel lets it run at once, it is not.
const grace = int64(50 * time.Microsecond)

// Overdue returns the time of an alarm of this clock that should have gone off by now
// and has not; 0 if there is none. What keeps a processor busy looks once in a while,
// and lets others run then: the kernel may look no sooner than at its next tick, which
// is milliseconds away.
func (c Clock) Overdue(now int64) int64 {
	if due := c.alarms.next.Load(); due > 0 && now-due > grace {
		return due
	}
	return 0
}

func (a *alarms) add(due int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.due = append(a.mu.due, due)
	a.next.Store(slices.Min(a.mu.due))
}

func (a *alarms) remove(due int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.Index(a.mu.due, due)
	a.mu.due = slices.Delete(a.mu.due, i, i+1)
	if len(a.mu.due) == 0 {
		a.next.Store(0)
		return
	}
	a.next.Store(slices.Min(a.mu.due))
}

// Alarm wakes one goroutine on time, also where an event loop of this process, which
// looks at [Clock.Overdue], keeps the same processor busy.
type Alarm struct {
	clock Clock
	sleep *Sleeper
}

// NewAlarm takes one descriptor until Close.
func (c Clock) NewAlarm() (*Alarm, error) {
	s, err := NewSleeper()
	if err != nil {
		return nil, err
	}
	return &Alarm{clock: c, sleep: s}, nil
}

// Until returns at due, in nanoseconds since the Unix epoch, or earlier with the
// context's error.
func (a *Alarm) Until(ctx context.Context, due int64) error {
	a.clock.alarms.add(due)
	defer a.clock.alarms.remove(due)
	return a.sleep.Sleep(ctx, time.Duration(due-a.clock.Now()))
}

// Close gives the descriptor back. No Until may be running.
func (a *Alarm) Close() error { return a.sleep.Close() }
