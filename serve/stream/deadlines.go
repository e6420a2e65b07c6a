package stream

import (
	"container/heap"
	"math"
	"time"
)

// deadlines ends sessions when their time has come, all of them by one timer: one for
// each would take more memory than the session. The zero value is empty and ready; all of
// it is under the lock of the sessions.
type deadlines struct {
	heap  deadlineHeap
	base  time.Time   // what the times count from, by the clock that nobody sets
	timer *time.Timer // nil: never needed yet. Due at the first of heap, or before
}

// deadline is one session's.
type deadline struct {
	at  time.Duration // after base
	one *session
}

// expireAtOnce bounds how many sessions are ended while others wait for the lock.
const expireAtOnce = 1000

// addDeadline has the session end at the given time, as the clock is now: that it is set
// later on changes nothing.
func (s *Sessions) addDeadline(one *session, end time.Time) {
	d := &s.mu.deadlines
	if d.base.IsZero() {
		d.base = time.Now()
	}
	now := time.Since(d.base)
	at := time.Until(end)
	if at > math.MaxInt64-now { // centuries
		at = math.MaxInt64
	} else {
		at += now
	}
	heap.Push(&d.heap, deadline{at, one})
	if one.place == 1 {
		s.armDeadlines(at - now)
	}
}

// armDeadlines has the timer come after the given time.
func (s *Sessions) armDeadlines(after time.Duration) {
	if d := &s.mu.deadlines; d.timer == nil {
		d.timer = time.AfterFunc(after, s.expire)
	} else {
		d.timer.Reset(after)
	}
}

// expire ends the sessions whose time has come.
func (s *Sessions) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := &s.mu.deadlines
	now := time.Since(d.base)
	for range expireAtOnce {
		if len(d.heap) == 0 || d.heap[0].at > now {
			break
		}
		heap.Pop(&d.heap).(deadline).one.subscriber.Expire()
	}
	if len(d.heap) > 0 {
		s.armDeadlines(d.heap[0].at - now)
	}
}

// remove lets go of a session that has ended.
func (d *deadlines) remove(one *session) {
	if one.place == 0 {
		return
	}
	heap.Remove(&d.heap, int(one.place-1))
	if len(d.heap) == 0 {
		d.timer.Stop()
	}
}

// deadlineHeap implements [heap.Interface], the next one first.
type deadlineHeap []deadline

func (h deadlineHeap) Len() int           { return len(h) }
func (h deadlineHeap) Less(i, j int) bool { return h[i].at < h[j].at }

func (h deadlineHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].one.place, h[j].one.place = int32(i+1), int32(j+1)
}

// Push implements [heap.Interface].
func (h *deadlineHeap) Push(x any) {
	d := x.(deadline)
	*h = append(*h, d)
	d.one.place = int32(len(*h))
}

// Pop implements [heap.Interface]. It gives memory back once three quarters of much are
// unused.
func (h *deadlineHeap) Pop() any {
	old := *h
	d := old[len(old)-1]
	d.one.place = 0
	old[len(old)-1] = deadline{}
	*h = old[:len(old)-1]
	if cap(old) >= roomyLists && len(*h) <= cap(old)/4 {
		*h = append(make(deadlineHeap, 0, 2*len(*h)), *h...)
	}
	return d
}
