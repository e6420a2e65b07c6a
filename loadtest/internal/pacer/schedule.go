package pacer

import (
	"sync"
	"time"
)

// Schedule hands out the due times of a pacer to several publishers. It runs in
// its own time: an event's due time follows from the pacer alone, however late
// the event before it was taken.
type Schedule struct {
	pacer Pacer
	until time.Duration // events due at or after it are not handed out
	limit uint64        // number of events; 0 = no limit

	mu struct {
		sync.Mutex
		at   time.Duration // due time of the last event handed out
		next time.Duration // due time of the next one, if peeked
		hits uint64
		peek bool
		done bool
	}
}

// NewSchedule hands out what p asks for before until, at most limit events
// (0 = all).
func NewSchedule(p Pacer, until time.Duration, limit uint64) *Schedule {
	return &Schedule{pacer: p, until: until, limit: limit}
}

// Next returns the next event's due time since the start. now is the present
// time since the start; only Max uses it, whose events are due when asked for.
// ok is false once there are no more. Any goroutine may call it.
func (s *Schedule) Next(now time.Duration) (at time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.look(now) {
		return 0, false
	}
	return s.take(), true
}

// NextDue is Next for an event that is due at now or before; ok is false if
// there is none.
func (s *Schedule) NextDue(now time.Duration) (at time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.look(now) || s.mu.next > now {
		return 0, false
	}
	return s.take(), true
}

// look finds the next due time.
func (s *Schedule) look(now time.Duration) bool {
	if s.mu.peek {
		return true
	}
	if s.mu.done || s.limit > 0 && s.mu.hits >= s.limit {
		return false
	}
	if _, closed := s.pacer.(Max); closed {
		s.mu.at = max(s.mu.at, now)
	}
	wait, stop := s.pacer.Pace(s.mu.at, s.mu.hits)
	if stop || s.mu.at+wait >= s.until || s.mu.at+wait < s.mu.at {
		s.mu.done = true
		return false
	}
	s.mu.next, s.mu.peek = s.mu.at+wait, true
	return true
}

func (s *Schedule) take() time.Duration {
	s.mu.at, s.mu.peek = s.mu.next, false
	s.mu.hits++
	return s.mu.at
}
