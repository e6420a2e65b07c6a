// Package clock gives all processes of one run the same time, and a sleep that
// is precise enough to send events when they are due.
package clock

import "time"

// Clock is a wall clock that never steps: the wall time at one moment plus the
// monotonic time since. Copies may be used by any goroutine.
type Clock struct {
	wall   int64 // nanoseconds since the Unix epoch at start
	start  time.Time
	alarms *alarms // of all copies
}

// Base lets another process on the same machine run the same clock.
type Base struct {
	Wall int64 // nanoseconds since the Unix epoch
	Mono int64 // the machine's monotonic clock at that moment; 0 where there is none
}

// New starts a clock at the present wall time.
func New() Clock {
	now := time.Now()
	return Clock{wall: now.UnixNano(), start: now, alarms: &alarms{}}
}

// Now is the time in nanoseconds since the Unix epoch.
func (c Clock) Now() int64 { return c.wall + int64(time.Since(c.start)) }

// Base describes the clock for From.
func (c Clock) Base() Base {
	mono := monotonic()
	return Base{Wall: c.Now(), Mono: mono}
}

// From continues the clock that b describes. Where the system has no shared
// monotonic clock, it falls back to this process's wall clock.
func From(b Base) Clock {
	now, mono := time.Now(), monotonic()
	if b.Mono == 0 || mono == 0 {
		return Clock{wall: now.UnixNano(), start: now, alarms: &alarms{}}
	}
	return Clock{wall: b.Wall + mono - b.Mono, start: now, alarms: &alarms{}}
}

// Shift is the clock of another machine, whose time is ahead of this one's by ns
// nanoseconds.
func (c Clock) Shift(ns int64) Clock {
	c.wall += ns
	return c
}
