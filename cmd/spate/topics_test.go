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

// What the log has of topics from before a restart is listed, although nothing was pushed to them since; what retention takes
// is not listed any more, and no topic is there twice.
func TestTopicsOfBeforeARestart(t *testing.T) {
	data := t.TempDir()
	s := startServe(t, "--data", data, "--no-sync")
	push := func(events string) {
		status, text := s.do("POST", "/push", `{"events":[`+events+`]}`, "Content-Type", asJSON)
		require.Equal(t, 200, status, text)
	}
	push(`{"topic":"a","data":"1"},{"topic":"b","data":"2"},{"topic":"b","data":"3"},{"data":"of no topic"}`)
	status, text := s.do("POST", "/push", `{"uids":["ann"],"events":[{"topic":"private","data":"4"}]}`, "Content-Type", asJSON)
	require.Equal(t, 200, status, text)
	s.stop()

	s = startServe(t, "--data", data)
	push(`{"topic":"b","data":"5"},{"topic":"c","data":"6"}`)
	var page topicsReply
	list := func() string {
		status, text := s.get("/topics")
		require.Equal(t, 200, status, text)
		page = topicsReply{}
		require.NoError(t, json.Unmarshal([]byte(text), &page))
		var all []string
		for _, topic := range page.Topics {
			all = append(all, fmt.Sprintf("%s %d %d", topic.Topic, topic.Events, topic.Kept.Events))
		}
		return strings.Join(all, ", ")
	}
	const want = "a 0 1, b 1 3, c 1 1, private 0 1"
	require.Eventually(t, func() bool { return list() == want }, patience, 5*time.Millisecond, "%s", list())
	status, text = s.get("/topics?match=a&limit=1")
	require.Equal(t, 200, status)
	require.Contains(t, text, `"topic":"a"`)
	s.stop()

	s = startServe(t, "--data", data, "--retain-count", "1")
	require.Eventually(t, func() bool { return list() == "c 0 1" }, patience, 5*time.Millisecond, "%s", list())
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
