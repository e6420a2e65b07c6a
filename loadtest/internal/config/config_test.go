package config_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/internal/config"
)

func valid() config.Config {
	c := config.Default()
	c.URL = "http://127.0.0.1:8080"
	return c
}

func TestDefaultsAreValid(t *testing.T) {
	c := valid()
	require.NoError(t, c.Normalize())
	require.Equal(t, 100, c.Users)
	if config.RawSupported() {
		require.Equal(t, config.ModeRaw, c.Mode)
	}
	c = valid()
	c.URL = "https://h/"
	require.NoError(t, c.Normalize())
	require.Equal(t, config.ModePortable, c.Mode)
}

// All faults are told at once, each with the flag it concerns.
func TestAllFaultsAtOnce(t *testing.T) {
	c := config.Config{Adapter: "spate", Streams: -1, To: "nobody", Size: "big", Rate: "fast", Publish: true, Mode: "cooked", URL: "ftp://x",
		Sources: []string{"here"}, RunID: "xyz", EventType: "a\"b", Storms: []config.Storm{{At: time.Hour}}, PushURL: "nowhere"}
	err := c.Normalize()
	for _, flag := range []string{"-streams", "-connections", "-procs", "-loops", "-batch", "-connect-rate", "-slow-rate", "-interval", "-storm",
		"-to", "-size", "-rate", "-duration", "-url", "-source", "-run-id", "-event", "-push-url"} {
		require.ErrorContains(t, err, flag)
	}
	for want, change := range map[string]func(c *config.Config){
		"no URL":                  func(c *config.Config) { c.URL = "" },
		"-mode":                   func(c *config.Config) { c.Mode = "fast" },
		"exceed all streams":      func(c *config.Config) { c.Slow, c.Stall = 0.6, 0.6 },
		"leaves nothing of":       func(c *config.Config) { c.WarmUp = time.Hour },
		"fewer than one for each": func(c *config.Config) { c.Streams, c.Procs = 3, 4 },
		"nothing to do":           func(c *config.Config) { c.Streams, c.Publish = 0, false },
	} {
		c := valid()
		change(&c)
		require.ErrorContains(t, c.Normalize(), want)
	}
}

func TestParseMix(t *testing.T) {
	m, err := config.ParseMix("broadcast=1, users=3")
	require.NoError(t, err)
	require.Equal(t, config.Mix{Broadcast: 0.25, Users: 0.75}, m)
	m, err = config.ParseMix("topics")
	require.NoError(t, err)
	require.Equal(t, config.Mix{Topics: 1}, m)
	for _, bad := range []string{"", "all", "users=x", "users=-1", "users=0", "broadcast=NaN"} {
		_, err := config.ParseMix(bad)
		require.Error(t, err, bad)
	}
}

func TestParseSize(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	s, err := config.ParseSize("100-200:3,5000:1")
	require.NoError(t, err)
	big := 0
	for range 4000 {
		n := s.Draw(r)
		if n == 5000 {
			big++
			continue
		}
		require.True(t, n >= 100 && n <= 200, "%d", n)
	}
	require.InDelta(t, 1000, big, 150)
	for _, bad := range []string{"", "0", "-5", "9-5", "1:0", "1:x", "99999999999", "a-b"} {
		_, err := config.ParseSize(bad)
		require.Error(t, err, bad)
	}
}

func TestParseShare(t *testing.T) {
	for text, want := range map[string]float64{"1%": 0.01, "0.5": 0.5, "100%": 1, "2%/s": 0.02, "0": 0} {
		got, err := config.ParseShare(text)
		require.NoError(t, err)
		require.InDelta(t, want, got, 1e-12)
	}
	for _, bad := range []string{"", "5", "-1%", "x", "101%"} {
		_, err := config.ParseShare(bad)
		require.Error(t, err, bad)
	}
}

func TestParseAddresses(t *testing.T) {
	got, err := config.ParseAddresses("127.0.0.1,127.0.0.254-127.0.1.1,[::1]:80,my-host")
	require.NoError(t, err)
	require.Equal(t, []string{"127.0.0.1", "127.0.0.254", "127.0.0.255", "127.0.1.0", "127.0.1.1", "[::1]:80", "my-host"}, got)
	for _, bad := range []string{"", "127.0.0.2-127.0.0.1", "10.0.0.0-11.0.0.0"} {
		_, err := config.ParseAddresses(bad)
		require.Error(t, err, bad)
	}
}

// Topics are followed evenly: with as many places as topics, each has one.
func TestTopicsAreSpread(t *testing.T) {
	c := valid()
	c.Streams, c.Topics, c.TopicsPerStream = 10, 5, 2
	seen := map[uint32]int{}
	for n := range c.Streams {
		for k := range c.FollowedTopics() {
			seen[(c.FirstTopic(n)+uint32(k))%uint32(c.Topics)]++
		}
	}
	require.Equal(t, map[uint32]int{0: 4, 1: 4, 2: 4, 3: 4, 4: 4}, seen)
}
