package ringbuf_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/internal/testrace"
	"github.com/spatehub/spate/ringbuf"
)

// Numbers count by themselves: a claim takes as many as it asks for.
func TestNumbersCountByThemselves(t *testing.T) {
	for _, start := range starts {
		for _, number := range starts {
			r := ringbuf.NewRing[uint64](8, start, nil, ringbuf.WithNumber(number))
			rd := r.NewReader()
			want := number
			for _, c := range []struct{ n, numbered int }{{1, 1}, {3, 0}, {3, 2}, {1, 0}, {8, 8}, {2, 1}, {8, 0}, {1, 1}} {
				first, got, err := r.ClaimNumbered(context.Background(), c.n, c.numbered)
				require.NoError(t, err)
				require.Equal(t, want+1, got, "from %d", number)
				want += uint64(c.numbered)
				seq, last := r.Last()
				require.Equal(t, [2]uint64{first + uint64(c.n) - 1, want}, [2]uint64{seq, last})
				r.Publish(first, c.n)
				_, to, ok := rd.TryNext(0)
				require.True(t, ok)
				rd.Advance(to)
			}
			r.Close()
			_, last := r.Last()
			require.Equal(t, want, last, "closing takes none")
		}
	}
}

// A claim moves 32 bits of each count; what belongs above them is not lost,
// however many are given.
func TestNumbersBeyond32Bits(t *testing.T) {
	testrace.Pointless(t)
	r := ringbuf.NewRing[uint64](1024, 5, nil, ringbuf.WithNumber(7))
	for _, n := range []uint64{1, 1 << 23, 1 << 31, 1<<32 - 1, 1 << 32, 1 << 33} {
		seq, number := r.Last()
		r.Jump(n)
		gotSeq, gotNumber := r.Last()
		require.Equal(t, [2]uint64{seq + n, number + n}, [2]uint64{gotSeq, gotNumber}, "%d more", n)
	}
	seq, number := r.Last()
	first, next, ok := r.TryClaimNumbered(3, 2)
	require.True(t, ok)
	require.Equal(t, [2]uint64{seq + 1, number + 1}, [2]uint64{first, next})
}

func TestNumbersMisusePanics(t *testing.T) {
	r := ringbuf.NewRing[uint64](4, 0, nil)
	require.Panics(t, func() { r.TryClaimNumbered(1, 2) })
	require.Panics(t, func() { r.TryClaimNumbered(1, -1) })
	require.Panics(t, func() { ringbuf.NewRing[struct{}](1<<29+1, 0, nil) }, "a full ring would look closed")
}
