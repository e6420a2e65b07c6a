package engine

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLifeGoesForward walks a hub's life, in time and cut short, and holds what may
// begin, end or be waited for in each phase.
func TestLifeGoesForward(t *testing.T) {
	for name, cut := range map[string]bool{"in time": false, "cut short": true} {
		t.Run(name, func(t *testing.T) {
			l := newLife()
			is := func(refuses, drains, expired, gaveUp, cutShort bool) {
				t.Helper()
				require.Equal(t, []bool{refuses, drains, expired, gaveUp, cutShort},
					[]bool{l.refuses(), l.drains(), l.expired(), l.gaveUp(), l.cutShort()}, "phase %d", l.phase())
			}
			is(false, false, false, false, false)
			require.True(t, l.enter())
			require.True(t, l.join())

			require.True(t, l.refuse())
			require.False(t, l.refuse(), "one caller takes the hub down")
			is(true, false, false, false, false)
			require.False(t, l.enter())
			require.False(t, l.join())
			require.EqualValues(t, 1, l.pushers.Load(), "what was refused is not waited for")
			require.EqualValues(t, 1, l.online.Load(), "what was refused is not waited for")

			l.drain()
			is(true, true, false, false, false)
			l.endDrain(cut)
			is(true, true, cut, true, cut)
			require.True(t, l.busy(), "a push and a connection are still there")
			l.leave()
			l.part()
			require.False(t, l.busy())
			l.halt()
			is(true, true, false, true, cut)
			<-l.stop
		})
	}
}

// TestWhatBeginsIsRefusedOrWaitedFor: once a hub refuses and nothing is counted,
// nothing begins any more.
func TestWhatBeginsIsRefusedOrWaitedFor(t *testing.T) {
	for range 5000 {
		l := newLife()
		var over atomic.Bool
		var unseen atomic.Int32
		var all sync.WaitGroup
		all.Go(func() {
			for l.enter() {
				if over.Load() {
					unseen.Add(1)
				}
				l.leave()
				runtime.Gosched()
			}
		})
		all.Go(func() {
			for l.join() {
				if over.Load() {
					unseen.Add(1)
				}
				l.part()
				runtime.Gosched()
			}
		})
		runtime.Gosched()
		l.refuse()
		for l.pushers.Load() != 0 || l.online.Load() != 0 {
			runtime.Gosched()
		}
		over.Store(true)
		all.Wait()
		require.Zero(t, unseen.Load(), "something began that nobody waited for")
	}
}
