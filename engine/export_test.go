package engine

import "runtime"

// AtRest reports whether no shard has work waiting, after letting it run.
func AtRest(h *Hub) bool {
	runtime.Gosched()
	for _, s := range h.shards {
		if s.state.Load() != shardIdle {
			return false
		}
	}
	return h.pushers.Load() == 0
}

// Lent returns how many frame buffers are out of the pool; checked builds only.
func Lent(h *Hub) (n int64, counted bool) { return h.frames.lent.Load(), checked }
