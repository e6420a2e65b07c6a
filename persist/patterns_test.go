package persist_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/logtest"
)

func TestMemoryPatternPages(t *testing.T) {
	logtest.CheckPatternPages(t, persist.NewMemory())
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
