package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
)

// Ten thousand topics come in pages, each once and in order, while others are counted together.
func TestTopicsComeInPages(t *testing.T) {
	s := startServe(t, "--memory", "--retain-topic", "t00003=count:5")
	const topics = countedTopics + 500
	for from := 0; from < topics; from += 500 {
		var events []string
		for i := range 500 {
			events = append(events, fmt.Sprintf(`{"topic":"t%05d","data":"x"}`, from+i))
		}
		status, text := s.do("POST", "/push", `{"events":[`+strings.Join(events, ",")+`]}`, "Content-Type", asJSON)
		require.Equal(t, 200, status, text)
	}
	cursor, seen := "", 0
	for {
		status, text := s.get("/topics?limit=1000&cursor=" + cursor)
		require.Equal(t, 200, status, text)
		var page topicsReply
		require.NoError(t, json.Unmarshal([]byte(text), &page))
		if cursor == "" {
			require.NotNil(t, page.Others)
			require.EqualValues(t, 500, page.Others.Events)
			require.EqualValues(t, 5, page.Topics[3].Retention.Records)
			require.Nil(t, page.Topics[4].Retention)
		} else {
			require.Nil(t, page.Others)
		}
		for _, topic := range page.Topics {
			require.Equal(t, fmt.Sprintf("t%05d", seen), topic.Topic)
			require.EqualValues(t, 1, topic.Events)
			require.Zero(t, *topic.Subscribers)
			require.Equal(t, 1, topic.Kept.Events)
			require.False(t, topic.Kept.AtLeast)
			require.WithinDuration(t, time.Now(), *topic.Kept.Since, time.Hour)
			seen++
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	require.Equal(t, countedTopics, seen)
	status, text := s.get("/metrics")
	require.Equal(t, 200, status)
	require.Equal(t, shownTopics+1, strings.Count(text, "\nspate_topic_events_total{"))
	require.Less(t, len(text), 1<<20)
}

// A rate is over the time since a look that is not of just now.
func TestTopicRates(t *testing.T) {
	hub := engine.NewHub(engine.WithTopicFigures(10))
	defer hub.Close()
	rates := newTopicRates(hub)
	start := time.Now()
	rates.look(start)
	rates.look(start.Add(10 * time.Second))
	base := rates.base()
	require.Equal(t, start, base.at)
	require.InDelta(t, 5, base.rate(engine.TopicFigures{Topic: "a", Events: 100}, start.Add(20*time.Second)), 1e-9)
	require.Zero(t, base.rate(engine.TopicFigures{Topic: "a", Events: 100}, start))
}
