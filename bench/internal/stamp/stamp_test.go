package stamp_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/bench/internal/stamp"
)

// TestStampRoundTrip: what Append writes Parse reads, also where the size asked for is less than the mark.
func TestStampRoundTrip(t *testing.T) {
	for _, s := range []stamp.Stamp{
		{Run: 1, Kind: stamp.Broadcast, Seq: 1, Sent: 1, Size: 200},
		{Run: 0xffffffff, Kind: stamp.User, Index: 0xffffffff, Seq: 1<<64 - 1, Sent: 1<<63 - 1, Size: 8192},
		{Run: 7, Kind: stamp.Topic, Index: 9, Seq: 300, Sent: 1_700_000_000_000_000_000, Size: 10},
	} {
		b := stamp.Append(nil, s)
		got, head, ok := stamp.Parse(b)
		require.True(t, ok, "%s", b)
		require.Equal(t, byte(';'), b[head-1])
		require.Len(t, b, int(got.Size))
		require.GreaterOrEqual(t, got.Size, s.Size)
		got.Size = s.Size
		require.Equal(t, s, got)
		for n := range head {
			_, h, ok := stamp.Parse(b[:n])
			require.True(t, ok, "a part of a stamp is no fault")
			require.Zero(t, h)
		}
	}
	for _, bad := range []string{"x", "@lt2.", "@lt1.g", "@lt1.1.0.z0.1.1.20;", "@lt1..0.b0.1.1.20;", "@lt1.1.0.b0.0.1.20;", "@lt1.1.0.b0.1.1.2;"} {
		_, _, ok := stamp.Parse([]byte(bad))
		require.False(t, ok, bad)
	}
}

// TestPlanCounts: Issued agrees with counting.
func TestPlanCounts(t *testing.T) {
	for _, n := range []int{1, 2, 7} {
		p := stamp.NewPlan(stamp.User, n)
		counts := map[uint32]uint64{}
		for i := range uint64(30) {
			for index := range uint32(n) {
				require.Equal(t, counts[index], p.Issued(index, i))
			}
			index, seq := p.Event(i)
			counts[index]++
			require.Equal(t, counts[index], seq)
		}
	}
	require.Equal(t, 1, stamp.NewPlan(stamp.Broadcast, 100).Targets())
}
