package engine

import (
	"runtime"
	"time"
)

// This file lets tests run a shard pass by pass, and see what each costs, in the unit of
// budget.

// Passes runs the passes of the hub's only shard, after prepare, until there is nothing
// to do or after, which is called between two passes, returns false. It returns what each
// has cost.
func Passes(h *Hub, prepare func(), after func() bool) (costs []int) {
	if len(h.shards) != 1 {
		panic("for a hub of one shard")
	}
	inside(h, func(s *shard) {
		prepare()
		for more := true; more; {
			before := s.cost
			more = s.pass()
			costs = append(costs, s.cost-before)
			if after != nil && !after() {
				return
			}
		}
	})
	return costs
}

// Tick moves the clock of the hub's only shard, within Passes.
func Tick(h *Hub, n int) { h.shards[0].ticks.Add(uint32(n)) }

// AwaitErrand waits until somebody has asked the hub's only shard for something, within
// Passes.
func AwaitErrand(h *Hub) {
	for h.shards[0].errands.inbox.Empty() {
		runtime.Gosched()
	}
}

// AwaitDrain waits until the hub drains.
func AwaitDrain(h *Hub) {
	for !h.life.drains() {
		runtime.Gosched()
	}
}

// Placed says whether the connection has been taken in, within Passes.
func Placed(sub Subscriber) bool { return sub.c.state != stateNew }

// Rests returns the bytes that connections keep of what was sent in part.
func Rests(h *Hub) int64 { return h.frames.rests.Load() }

// What passes are measured by.
const (
	LookCost    = lookCost
	MarkCost    = markCost
	WriteCost   = writeCost
	SweepBudget = sweepBudget
	MarkBudget  = markBudget
	RestFactor  = restFactor
)

// TicksOf is how many ticks of the hub's clock a time has.
func TicksOf(h *Hub, d time.Duration) int { return int(h.ticksOf(d)) }

// Spent returns what the hub's only shard has spent so far.
func Spent(h *Hub) (n int) {
	inside(h, func(s *shard) { n = s.cost })
	return n
}
