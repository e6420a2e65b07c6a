package plan_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/bench/internal/plan"
	"github.com/spatehub/spate/loadtest/stamp"
)

// TestPlanCounts: Issued agrees with counting.
func TestPlanCounts(t *testing.T) {
	for _, n := range []int{1, 2, 7} {
		p := plan.New(stamp.User, n)
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
	require.Equal(t, 1, plan.New(stamp.Broadcast, 100).Targets())
}
