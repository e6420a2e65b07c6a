package adapter_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/internal/adapter"
	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/stamp"
)

// make builds an adapter for ten streams of five users and seven topics.
func build(t *testing.T, change func(c *config.Config)) (*adapter.Adapter, error) {
	t.Helper()
	c := config.Default()
	c.URL, c.Streams, c.Users, c.Topics, c.TopicsPerStream = "http://127.0.0.1:8080", 10, 5, 7, 2
	change(&c)
	if err := c.Normalize(); err != nil {
		return nil, err
	}
	return adapter.New(&c)
}

func event(kind stamp.Kind, index uint32) adapter.Event {
	return adapter.Event{Type: "message", Kind: kind, Index: index, Data: stamp.Append(nil, stamp.Stamp{Kind: kind, Index: index, Seq: 1, Size: 100})}
}

func TestStreamURLs(t *testing.T) {
	for _, x := range []struct {
		adapter, to, url, want string
	}{
		{"spate", "users", "http://h:1", "http://h:1/events?uid=u3&topic=t2&topic=t3"},
		{"spate", "users", "http://h:1/", "http://h:1/events?uid=u3&topic=t2&topic=t3"},
		{"sponge", "users", "http://h:1", "http://h:1/events?uid=u3"},
		{"mercure", "topics", "http://h:1", "http://h:1/.well-known/mercure?topic=t2&topic=t3"},
		{"mercure", "broadcast,users,topics", "http://h:1", "http://h:1/.well-known/mercure?topic=all&topic=u3&topic=t2&topic=t3"},
		{"nchan", "users", "http://h:1", "http://h:1/sub?id=u3"},
		{"nchan", "broadcast", "http://h:1", "http://h:1/sub?id=all"},
		{"centrifugo", "broadcast,users", "http://h:1", "http://h:1/connection/uni_sse?cf_connect=" + url.QueryEscape(`{"subs":{"all":{},"u3":{},"t2":{},"t3":{}}}`)},
		{"none", "broadcast", "https://h/stream?n={{.N}}&me={{.User}}&k={{.Token}}", "https://h/stream?n=8&me=u3&k=d"},
		{"template", "broadcast", "http://h/{{range .Topics}}{{.}}-{{end}}", "http://h/t2-t3-"},
	} {
		a, err := build(t, func(c *config.Config) {
			c.Adapter, c.To, c.URL, c.Publish = x.adapter, x.to, x.url, false
			c.Tokens = []string{"a", "b", "c", "d", "e"}
			c.Bearer, c.Header = "{{.Token}}", []string{"X-N: {{.N}}"}
			if x.adapter == "nchan" {
				c.TopicsPerStream = 1
			}
		})
		require.NoError(t, err, x.adapter)
		s, err := a.Subscribe(8)
		require.NoError(t, err)
		require.Equal(t, x.want, s.URL.String(), x.adapter)
		require.Equal(t, []adapter.Header{{Name: "X-N", Value: "8"}, {Name: "Authorization", Value: "Bearer d"}}, s.Header)
	}
}

// The body of a push says what the server's API wants to hear.
func TestPushes(t *testing.T) {
	for _, x := range []struct {
		adapter string
		events  []adapter.Event
		url     string
		body    any // JSON, or text with DATA for the event's data
	}{
		{"spate", []adapter.Event{event('b', 0), event('t', 4)}, "http://127.0.0.1:8080/push",
			map[string]any{"events": []any{
				map[string]any{"event": "message", "data": "DATA0"},
				map[string]any{"event": "message", "data": "DATA1", "topic": "t4"}}}},
		{"sponge", []adapter.Event{event('u', 4), event('u', 4)}, "http://127.0.0.1:8080/push",
			map[string]any{"uids": []any{"u4"}, "events": []any{
				map[string]any{"event": "message", "data": "DATA0"},
				map[string]any{"event": "message", "data": "DATA1"}}}},
		{"mercure", []adapter.Event{event('b', 0)}, "http://127.0.0.1:8080/.well-known/mercure", "topic=all&type=message&data=FORM"},
		{"mercure", []adapter.Event{event('t', 6)}, "http://127.0.0.1:8080/.well-known/mercure", "topic=t6&type=message&data=FORM"},
		{"nchan", []adapter.Event{event('u', 2)}, "http://127.0.0.1:8080/pub?id=u2", "DATA0"},
		{"centrifugo", []adapter.Event{event('b', 0), event('u', 1)}, "http://127.0.0.1:8080/api/batch",
			map[string]any{"commands": []any{
				map[string]any{"publish": map[string]any{"channel": "all", "data": "DATA0"}},
				map[string]any{"publish": map[string]any{"channel": "u1", "data": "DATA1"}}}}},
		{"template", []adapter.Event{event('u', 1)}, "http://h/u1", `{"kind":"user","to":"u1","data":"DATA0"}`},
	} {
		a, err := build(t, func(c *config.Config) {
			c.Adapter, c.PushKey = x.adapter, "secret"
			switch x.adapter {
			case "template":
				c.PushURL, c.PushBody = "http://h/{{.User}}", `{"kind":"{{.Kind}}","to":"{{.Target}}","data":"{{.Data}}"}`
			case "nchan":
				c.To = "users"
			}
		})
		require.NoError(t, err, x.adapter)
		var p adapter.Push
		for range 2 { // its memory is used again
			require.NoError(t, a.Push(&p, x.events))
		}
		require.Equal(t, x.url, p.URL)
		fill := strings.NewReplacer("DATA0", string(x.events[0].Data), "DATA1", string(x.events[len(x.events)-1].Data), "FORM", url.QueryEscape(string(x.events[0].Data)))
		if text, ok := x.body.(string); ok {
			require.Equal(t, fill.Replace(text), string(p.Body))
			continue
		}
		want, err := json.Marshal(x.body)
		require.NoError(t, err)
		require.JSONEq(t, fill.Replace(string(want)), string(p.Body))
	}
}

// Only events that one request can carry to the right addressees are joined.
func TestJoinable(t *testing.T) {
	spate, err := build(t, func(*config.Config) {})
	require.NoError(t, err)
	mercure, err := build(t, func(c *config.Config) { c.Adapter, c.PushKey = "mercure", "k" })
	require.NoError(t, err)
	require.True(t, spate.Joinable(event('b', 0), event('t', 1)))
	require.True(t, spate.Joinable(event('u', 2), event('u', 2)))
	require.False(t, spate.Joinable(event('u', 2), event('u', 3)))
	require.False(t, spate.Joinable(event('b', 0), event('u', 3)))
	require.False(t, spate.Joinable(event('u', 3), event('b', 0)))
	require.False(t, mercure.Joinable(event('b', 0), event('b', 0)))
}

func TestKeys(t *testing.T) {
	for adapterName, want := range map[string]string{"spate": "Authorization=Bearer secret", "centrifugo": "X-API-Key=secret"} {
		a, err := build(t, func(c *config.Config) { c.Adapter, c.PushKey = adapterName, "secret" })
		require.NoError(t, err)
		require.Contains(t, headers(a.PushHeader()), want)
	}
	a, err := build(t, func(c *config.Config) { c.Adapter, c.PushKey, c.SubKey = "mercure", "a.b.c", "!ChangeMe!" })
	require.NoError(t, err)
	require.Contains(t, headers(a.PushHeader()), "Authorization=Bearer a.b.c", "a token is used as it is")
	s, err := a.Subscribe(0)
	require.NoError(t, err)
	// Computed with another HMAC-SHA256 implementation.
	require.Equal(t, "Authorization=Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJtZXJjdXJlIjp7InN1YnNjcmliZSI6WyIqIl19fQ.ORJnUIVffZWH4WoZZhcZg74WWlh9f5TVYiaNmUE4u2o", headers(s.Header)[0])
}

func headers(list []adapter.Header) []string {
	var out []string
	for _, h := range list {
		out = append(out, h.Name+"="+h.Value)
	}
	return out
}

// What cannot work is refused with what to do instead.
func TestRefusals(t *testing.T) {
	for want, change := range map[string]func(c *config.Config){
		"it is one of spate":       func(c *config.Config) { c.Adapter = "kafka" },
		"has no topics":            func(c *config.Config) { c.Adapter, c.To = "sponge", "topics" },
		"follows one channel":      func(c *config.Config) { c.Adapter, c.To = "nchan", "broadcast,users" },
		"does not publish":         func(c *config.Config) { c.Adapter = "none" },
		"with -push-url":           func(c *config.Config) { c.Adapter = "template" },
		"-push-body":               func(c *config.Config) { c.Adapter, c.PushURL = "template", "http://h/" },
		"-push-key":                func(c *config.Config) { c.Adapter = "mercure" },
		"write Name: value":        func(c *config.Config) { c.Header = []string{"nonsense"} },
		"-push-header":             func(c *config.Config) { c.PushHeader = []string{"a b: c"} },
		"-url: template":           func(c *config.Config) { c.URL = "http://h/{{.Nobody}}" },
		"which is not a URL":       func(c *config.Config) { c.URL = "http://{{.Token}}/x" },
		"-header X has a line end": func(c *config.Config) { c.Header, c.Tokens = []string{"X: {{.Token}}"}, []string{"a\nb"} },
		"must begin with http":     func(c *config.Config) { c.URL = "127.0.0.1:8080" },
		"say how many there are":   func(c *config.Config) { c.To, c.Topics = "topics", 0 },
	} {
		_, err := build(t, change)
		require.ErrorContains(t, err, want)
	}
}
