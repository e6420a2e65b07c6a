package engine

import "sync/atomic"

// limiter bounds how many workers take from one queue. Its use:
//
//	producer: put into the queue; if enter() { start a worker }
//	worker:   take until empty; leave(); if the queue is not empty and enter(), go on
//
// A worker leaves before its last look at the queue. So either it sees what a
// producer put late, or that producer's enter found room: nothing is left
// lying. Both are single atomic operations, each a full fence between the
// queue's state and the count.
type limiter struct {
	n   atomic.Int32
	max int32
}

func (l *limiter) enter() bool {
	for {
		n := l.n.Load()
		if n >= l.max {
			return false
		}
		if l.n.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (l *limiter) leave() { l.n.Add(-1) }

func (l *limiter) idle() bool { return l.n.Load() == 0 }
