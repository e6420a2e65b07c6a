package engine

import (
	"math/bits"
	"runtime"

	"github.com/panjf2000/ants/v2"
	"github.com/spatehub/spate/ringbuf"
)

// A shard's scheduling state.
const (
	shardIdle    uint32 = iota // nobody runs it
	shardQueued                // in the ready queue
	shardRunning               // a runner is inside
	shardDirty                 // a runner is inside, and there is new work
)

// scheduler runs shards on an ants pool: a shard with work is put into the
// ready queue, at most once, and runners take shards from it until it is empty.
//
// A goroutine per shard that parks would be simpler, but then the kernel of
// the hub would own goroutines that ants cannot reuse or bound.
type scheduler struct {
	pool  *ants.Pool
	ready *ringbuf.MPMC[*shard]
	run   func() // s.runner, made once: no closure per submit

	runners limiter
}

// newScheduler returns one that runs nobody until it begins.
func newScheduler(shards int) *scheduler {
	s := &scheduler{ready: ringbuf.NewMPMC[*shard](shards + 1)}
	s.run = s.runner
	return s
}

// begin lets at most so many runners work. Before anything is woken.
func (s *scheduler) begin(pool *ants.Pool, runners int) { s.pool, s.runners.max = pool, int32(runners) }

// wake makes sure that the shard runs after everything that happened before
// the call. It costs one load where the shard is about to run anyway.
func (s *shard) wake() {
	for {
		switch s.state.Load() {
		case shardIdle:
			if s.state.CompareAndSwap(shardIdle, shardQueued) {
				s.hub.sched.queue(s)
				return
			}
		case shardRunning:
			if s.state.CompareAndSwap(shardRunning, shardDirty) {
				return
			}
		default:
			return
		}
	}
}

// wakeMask wakes the shards whose bits are set.
func (h *Hub) wakeMask(mask uint64) {
	for mask != 0 {
		h.shards[bits.TrailingZeros64(mask)].wake()
		mask &= mask - 1
	}
}

func (s *scheduler) queue(sh *shard) {
	for !s.ready.TryPush(sh) {
		runtime.Gosched() // a slot is being freed: there is one for every shard
	}
	s.start()
}

// start submits a runner unless enough are at work.
func (s *scheduler) start() {
	if s.runners.enter() && s.pool.Submit(s.run) != nil {
		// The pool has no bound; only a released one refuses.
		s.runners.leave()
	}
}

// runner passes over ready shards until there is none.
func (s *scheduler) runner() {
	for {
		for {
			sh, ok := s.ready.TryPop()
			if !ok {
				break
			}
			s.pass(sh)
		}
		s.runners.leave()
		if s.ready.Len() == 0 || !s.runners.enter() {
			return
		}
	}
}

// pass runs the shard once and queues it again where work is left.
func (s *scheduler) pass(sh *shard) {
	sh.state.Store(shardRunning)
	more := sh.pass()
	if !more && sh.state.CompareAndSwap(shardRunning, shardIdle) {
		return
	}
	sh.state.Store(shardQueued)
	for !s.ready.TryPush(sh) {
		runtime.Gosched()
	}
}
