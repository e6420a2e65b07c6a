package engine

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEveryCountIsShown: each count of a shard has a field of Stats to itself, sums
// over the shards, and a pass that publishes and a look allocate nothing.
func TestEveryCountIsShown(t *testing.T) {
	h := NewHub(WithShards(2))
	defer h.Close()
	var st Stats
	fields := map[*uint64]bool{}
	for i, field := range st.counted() {
		require.NotNil(t, field, "count %d is not shown", i)
		require.False(t, fields[field], "count %d has the field of another", i)
		fields[field] = true
	}
	left := 0
	inside(h, func(s *shard) {
		for i := range s.n {
			s.n[i] = uint64(100 + i)
		}
		s.publishCounters()
		if s.n != (counters{}) {
			left++
		}
	})
	require.Zero(t, left, "shards that would publish a pass twice")
	st = h.Stats()
	for i, field := range st.counted() {
		require.EqualValues(t, len(h.shards)*(100+i), *field, "count %d", i)
	}
	require.Zero(t, testing.AllocsPerRun(100, func() { st = h.Stats() }))
	allocs := 0.0
	inside(h, func(s *shard) {
		allocs += testing.AllocsPerRun(100, func() { s.n[nPushed]++; s.publishCounters() })
	})
	require.Zero(t, allocs)
}
