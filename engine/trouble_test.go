package engine

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// A look at all in trouble, for the clock or for the window, overlooks nobody who is
// there from its beginning to its end, whoever comes and goes meanwhile; and whoever was
// there is still at its place.
func TestNobodyInTroubleIsOverlooked(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 3))
		var tr troubled
		stays, gone := map[*client]bool{}, map[*client]bool{} // since the beginning of the look
		for range rng.IntN(40) {
			c := &client{}
			tr.add(c)
			stays[c] = false
		}
		tr.startSweep()
		tr.startTrim(1, 100)
		trims := rng.IntN(2) == 0
		left := func() bool { return trims && tr.trims.active() || !trims && tr.sweep > 0 }
		for left() {
			switch rng.IntN(4) {
			case 0:
				tr.add(&client{})
			case 1:
				if len(tr.list) > 0 {
					c := tr.list[rng.IntN(len(tr.list))]
					tr.remove(c)
					gone[c] = true
				}
			default:
				next := tr.nextTrimmed
				if !trims {
					next = tr.nextSwept
				}
				if c := next(); c != nil {
					stays[c] = true
				}
			}
			for i, c := range tr.list {
				require.EqualValues(t, i, c.lag.index)
			}
		}
		for c, seen := range stays {
			require.True(t, seen || gone[c], "seed %d: one was overlooked", seed)
		}
	}
}

// The lowest position of a look is one that nobody who lags is below: of those looked at,
// and of those who began to lag meanwhile.
func TestLowestOfALook(t *testing.T) {
	var tr troubled
	for range 3 {
		tr.add(&client{})
	}
	tr.startTrim(50, 100)
	require.NotNil(t, tr.nextTrimmed())
	tr.trims.keeps(70)
	tr.lags(60)
	require.NotNil(t, tr.nextTrimmed())
	require.NotNil(t, tr.nextTrimmed())
	tr.trims.keeps(80) // the last one counts too
	require.False(t, tr.trims.active())
	require.Equal(t, position(60), tr.trims.lowest)
	tr.trims.keeps(55)
	require.Equal(t, position(55), tr.trims.lowest)
}

// What has timed out is told once, in stretches that follow each other, and only what was
// there for all of its tries.
func TestWhatIsTriedTimesOutOnce(t *testing.T) {
	var r trying
	require.False(t, r.due(1<<20))
	r.begin(10, 12, 5) // 10 to 12 wait
	r.begin(11, 13, 6) // it was begun before
	require.True(t, !r.due(4) && r.due(5))

	_, _, out := r.failed(20, 10, 2)
	require.False(t, out, "a first try in vain")
	from, to, out := r.failed(20, 15, 2)
	require.True(t, out)
	require.Equal(t, [2]position{10, 12}, [2]position{from, to})
	r.to = to
	require.True(t, r.timedOut(10) && r.timedOut(12) && !r.timedOut(13) && !r.timedOut(9))

	from, to, out = r.failed(20, 20, 2)
	require.True(t, out)
	require.Equal(t, [2]position{13, 20}, [2]position{from, to}, "after what was told, up to the first try of these")
	r.to = to
	_, _, out = r.failed(20, 25, 2)
	require.False(t, out, "nothing has come since")

	require.Equal(t, position(9), r.beforeHole(30))
	require.True(t, !r.atHole(8) && r.atHole(9))
	r.took() // a byte does not mend the hole
	require.True(t, r.active())
	r.gaveUp(25)
	require.True(t, !r.atHole(30) && !r.timedOut(15), "given up with all that was before")
	r.took()
	require.False(t, r.active())
}
