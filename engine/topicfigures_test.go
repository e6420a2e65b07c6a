package engine

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/wire"
)

// Each event of a topic is counted once, under its topic or with all others, whoever pushes at a time; and the table has
// so many topics and no more.
func TestTopicFiguresAddUp(t *testing.T) {
	const topics, room, each, pushers = 30, 10, 20, 4
	hub := NewHub(WithTopicFigures(room))
	t.Cleanup(hub.Close)
	var all sync.WaitGroup
	for range pushers {
		all.Go(func() {
			for range each {
				for i := range topics {
					if err := hub.Push(nil, &wire.Event{Topic: fmt.Sprint("t", i), Data: "x"}, &wire.Event{Data: "y"}); err != nil {
						panic(err)
					}
				}
			}
		})
	}
	all.Wait()
	figures := hub.TopicFigures()
	require.Len(t, figures, room+1)
	others := figures[room]
	require.Empty(t, others.Topic)
	require.EqualValues(t, (topics-room)*each*pushers, others.Events)
	seen := map[string]bool{}
	for _, f := range figures[:room] {
		require.EqualValues(t, each*pushers, f.Events, f.Topic)
		require.Greater(t, f.Bytes, f.Events)
		require.False(t, seen[f.Topic], "twice")
		seen[f.Topic] = true
	}
	without := NewHub()
	t.Cleanup(without.Close)
	require.NoError(t, without.Push(nil, &wire.Event{Topic: "t", Data: "x"}))
	require.Nil(t, without.TopicFigures(), "not asked for")
}

// A topic that has its figures is counted without allocating.
func TestTopicFiguresDoNotAllocate(t *testing.T) {
	hub := NewHub(WithTopicFigures(1))
	t.Cleanup(hub.Close)
	both := func() {
		hub.topicFigures.count("a", 1)
		hub.topicFigures.count("b", 1)
	}
	both()
	require.Zero(t, testing.AllocsPerRun(100, both))
}
