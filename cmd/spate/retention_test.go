package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist"
)

func TestTopicRetentionFromFlagsAndEnvironment(t *testing.T) {
	env := environment("SPATE_RETAIN_TOPIC", "a=count:1;*=age:1d")
	c, err := parseWith(env)
	require.NoError(t, err)
	require.Equal(t, map[string]persist.Retention{"a": {MaxCount: 1}, "*": {MaxAge: 24 * time.Hour}}, c.retention.Topics)
	require.False(t, whole(c.retention))

	c, err = parseWith(env, "--retain-topic", "prices=count:1000,age:1h,bytes:10MB", "--retain-topic=k=v=bytes:1KiB")
	require.NoError(t, err)
	require.Equal(t, map[string]persist.Retention{
		"prices": {MaxCount: 1000, MaxAge: time.Hour, MaxBytes: 10_000_000},
		"k=v":    {MaxBytes: 1024},
	}, c.retention.Topics, "flags replace the environment's list")

	again := &topicRetention{topics: c.retention.Topics}
	text := again.String()
	again.reset()
	for _, one := range again.split(text) {
		require.NoError(t, again.Set(one))
	}
	require.Equal(t, c.retention.Topics, again.topics, text)
}

func TestWrongTopicRetentionIsTold(t *testing.T) {
	for text, says := range map[string]string{
		"":                     "give topic=bounds",
		"prices":               "give topic=bounds",
		"=count:1":             "give topic=bounds",
		"prices=":              "give topic=bounds",
		"prices=1000":          "give topic=bounds",
		"prices=count:1,":      "give topic=bounds",
		"prices=counts:1":      "give topic=bounds",
		"prices=count:x":       `topic "prices": count:x: give a positive number`,
		"prices=count:0":       "give a positive number",
		"prices=count:-1":      "give a positive number",
		"prices=age:0":         "give a positive duration",
		"prices=age:soon":      "give a duration",
		"prices=bytes:0":       "give a positive size",
		"prices=bytes:much":    "give a size",
		"prices=age:1h,age:2h": "age is given twice",
		"a\nb=count:1":         "topic",
	} {
		r := runToEnd(t, "", "serve", "--retain-topic", text)
		require.Equal(t, exitUsage, r.code, text)
		require.Contains(t, r.err, "retain-topic", text)
		require.Contains(t, r.err, says, text)
	}
	_, err := parseWith(environment(), "--retain-topic", "a=count:1", "--retain-topic", "a=age:1h")
	require.ErrorContains(t, err, `topic "a" is given twice`)
	_, err = parseWith(environment("SPATE_RETAIN_TOPIC", "a=count:1;"))
	require.ErrorContains(t, err, `SPATE_RETAIN_TOPIC="a=count:1;" in the environment: give topic=bounds`)
}

// A topic's bound is kept, shown, and leaves other events alone; without one for the whole a log in memory keeps its
// own.
func TestTopicRetentionIsInForce(t *testing.T) {
	s := startServe(t, "--memory", "--retain-topic", "prices=count:1", "--retain-topic", "*=age:1h")
	code, body := s.do("POST", "/push", `{"events":[{"topic":"prices","data":1},{"data":2},{"topic":"prices","data":3}]}`, "Content-Type", asJSON)
	require.Equal(t, 200, code, body)
	_, body = s.get("/stats")
	var stats statsReply
	require.NoError(t, json.Unmarshal([]byte(body), &stats))
	require.EqualValues(t, 2, stats.Log.Records)
	require.Equal(t, retentionStats{
		boundsStats: boundsStats{Records: persist.DefaultMemoryCount, Bytes: persist.DefaultMemoryBytes},
		Topics:      map[string]boundsStats{"prices": {Records: 1}, "*": {AgeSeconds: 3600}},
	}, stats.Log.Retention)
}
