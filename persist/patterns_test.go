package persist_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/logtest"
)

func TestMemoryPatternPages(t *testing.T) {
	logtest.CheckPatternPages(t, persist.NewMemory())
}

func TestMemoryPatternLooks(t *testing.T) {
	logtest.CheckPatternLooks(t, persist.NewMemory(persist.WithRetention(persist.Retention{})))
}

// TestMemoryTopicsInOrder holds that the order of topics is that of those that have
// records, whichever came and went, and that it takes no more blocks than it needs.
func TestMemoryTopicsInOrder(t *testing.T) {
	rng := logtest.Seeded(t, "persist")
	m := persist.NewMemory(persist.WithRetention(persist.Retention{MaxCount: 5000}))
	for id := uint64(1); id <= 30_000; {
		recs := make([]persist.Record, 100)
		for i := range recs {
			recs[i] = persist.Record{ID: id, Topic: fmt.Sprint("t", rng.IntN(20_000)), Frame: logtest.Frame(id, 1)}
			id++
		}
		require.NoError(t, m.Append(ctx, recs))
		if id%3000 != 1 {
			continue
		}
		want := make(map[string]bool)
		for _, r := range logtest.ReadAll(t, m, 0, 10_000) {
			want[r.Topic] = true
		}
		names, blocks := m.TopicNames()
		require.Equal(t, slices.Sorted(maps.Keys(want)), names)
		require.LessOrEqual(t, len(blocks), len(names)/32+2, "%v", blocks)
	}
	require.NoError(t, m.SetRetention(persist.Retention{MaxCount: 3}))
	names, blocks := m.TopicNames()
	require.LessOrEqual(t, len(names), 3)
	require.Len(t, blocks, 1)
}

// (Invariant 3.)
func TestMemoryPatternFloor(t *testing.T) {
	clock := logtest.NewClock()
	l := persist.NewMemory(persist.WithClock(clock), persist.WithRetention(logtest.OldTopics()))
	logtest.CheckPatternFloor(t, l, clock, func() {})
}

func TestTopicSet(t *testing.T) {
	set := persist.NewTopicSet([]string{"b", "", "a", "x.*", "y.>.z", "c*"})
	require.True(t, set.Wild())
	require.Equal(t, []string{"a", "b", "c*", "y.>.z"}, set.Exact())
	for topic, want := range map[string]bool{"a": true, "b": true, "c*": true, "c": false, "x.1": true, "x": false, "x.1.2": false, "": false} {
		require.Equal(t, want, set.Follows(topic), topic)
	}
	none := persist.NewTopicSet(nil)
	require.False(t, none.Wild() || none.Follows("") || none.Follows("a"))
}

func TestMergedFloorOfFormerTopic(t *testing.T) {
	clock := logtest.NewClock()
	l := persist.NewMemory(persist.WithClock(clock), persist.WithMaxFloors(logtest.ManyTopics/5))
	logtest.CheckMergedFloor(t, l, clock, func() { l.First() })
}
