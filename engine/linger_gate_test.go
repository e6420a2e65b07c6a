package engine

import (
	"sync"
	"testing"
	"time"

	"github.com/spatehub/spate/internal/testrace"
)

// No wake-up is lost: whatever is behind the gate has its shard's bit, however an event
// and the timer come together. The shard would sleep until the next tick of the clock.
func TestLingerKeepsTheBitsOfWhatWaits(t *testing.T) {
	h := NewHub(WithLinger(time.Second, nil), WithShards(2))
	defer h.Close()
	l := h.linger
	end := position(300_000)
	if testrace.On {
		end /= 5
	}
	for pos := position(1); pos < end; pos++ {
		var beside sync.WaitGroup
		beside.Go(l.fire)
		l.pass(pos, pos, 1, false)
		beside.Wait()
		if position(l.gate.Load()).before(pos) && l.mask.Load()&1 == 0 {
			t.Fatalf("event %d waits, and its shard's bit is gone", pos)
		}
		l.timer.Stop()
		l.fire()
	}
}
