package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/internal/config"
)

// Several URLs are one deployment; those that can't be are refused by name.
func TestSetURLs(t *testing.T) {
	c := config.Default()
	require.NoError(t, c.SetURLs("http://a:1/events?topics=x,y,http://b:2,http://c:3/events?topics=x,y"))
	require.NoError(t, c.SetURLs("http://d:4/"))
	require.Equal(t, "http://a:1/events?topics=x,y", c.URL)
	require.Equal(t, []string{"a:1", "b:2", "c:3", "d:4"}, c.Dests)
	for _, wrong := range []string{"https://e:5", "http://e:5/other", "http://", "http://b:2", "e"} {
		require.Error(t, c.SetURLs(wrong), wrong)
	}
	require.Error(t, c.SetDests("127.0.0.1"))
	one := config.Default()
	require.NoError(t, one.SetURLs("http://a:1"))
	require.NoError(t, one.SetDests("127.0.0.1,127.0.0.2"))
	require.Error(t, one.SetURLs("http://b:1"), "-dest is there")
	require.Equal(t, []string{"127.0.0.1", "127.0.0.2"}, one.Dests)
}

// -move needs somewhere to go, and the ID that a stream has.
func TestMoveIsValidated(t *testing.T) {
	valid := func(change func(c *config.Config)) error {
		c := config.Default()
		c.Streams, c.Move = 10, 0.5
		require.NoError(t, c.SetURLs("http://a:1,http://b:1"))
		change(&c)
		return c.Normalize()
	}
	require.NoError(t, valid(func(*config.Config) {}))
	require.ErrorContains(t, valid(func(c *config.Config) { c.Resume = false }), "-move")
	require.ErrorContains(t, valid(func(c *config.Config) { c.HTTP2 = true }), "-move")
	require.ErrorContains(t, valid(func(c *config.Config) { c.Dests = nil }), "-move")
}
