package main

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/client"
	"github.com/spatehub/spate/engine"
)

func parseWith(env func(string) (string, bool), args ...string) (*serveConfig, error) {
	return parseServe(streams{in: strings.NewReader(""), out: &safeBuffer{}, err: &safeBuffer{}, env: env}, args)
}

func TestAFlagWinsOverTheEnvironmentAndThatOverTheDefault(t *testing.T) {
	c, err := parseWith(environment())
	require.NoError(t, err)
	require.Equal(t, defaultListen, c.listen)
	require.Equal(t, defaultData, c.data)
	require.Equal(t, engine.PolicyCatchUp, c.policy)
	require.Zero(t, c.retention.MaxAge)

	env := environment("SPATE_LISTEN", "127.0.0.1:1", "SPATE_LOG_LEVEL", "debug", "SPATE_RETAIN_AGE", "2d", "SPATE_NO_SYNC", "true", "SPATE_QUEUE_BYTES", "2MiB")
	c, err = parseWith(env, "--listen", "[::1]:2", "--max-event-size=64KiB", "--policy", "disconnect")
	require.NoError(t, err)
	require.Equal(t, "[::1]:2", c.listen)
	require.Equal(t, slog.LevelDebug, c.logLevel)
	require.Equal(t, 48*time.Hour, c.retention.MaxAge)
	require.True(t, c.noSync)
	require.EqualValues(t, 64<<10, c.maxEvent)
	require.EqualValues(t, 2<<20, c.queue)
	require.Equal(t, engine.PolicyDisconnect, c.policy)
}

func TestADemoDoesNotFillTheDisk(t *testing.T) {
	c, err := parseWith(environment(), "--demo")
	require.NoError(t, err)
	require.Equal(t, demoAge, c.retention.MaxAge)
	c, err = parseWith(environment(), "--demo", "--retain-count", "10")
	require.NoError(t, err)
	require.Zero(t, c.retention.MaxAge, "asked for otherwise")
	c, err = parseWith(environment(), "--demo", "--retain-topic", "cpu=count:10")
	require.NoError(t, err)
	require.Equal(t, demoAge, c.retention.MaxAge, "one topic does not bound the rest")
}

func TestListsTakeTheEnvironmentOrTheFlags(t *testing.T) {
	s := streams{in: strings.NewReader("x"), out: &safeBuffer{}, err: &safeBuffer{}, env: environment("SPATE_TOPIC", "a,b", "SPATE_URL", "http://localhost:1/")}
	c, err := parseTail(s, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, c.topics.values)
	require.Equal(t, "http://localhost:1/events?topic=a&topic=b", c.streamURL())
	c, err = parseTail(s, []string{"--topic", "c", "--topic", "d", "--uid", "u 1"})
	require.NoError(t, err)
	require.Equal(t, "http://localhost:1/events?topic=c&topic=d&uid=u+1", c.streamURL())
}

func TestTailNoticesADeadHubUnlessToldOtherwise(t *testing.T) {
	for given, want := range map[string]time.Duration{"": client.DefaultIdleTimeout, "5m": 5 * time.Minute, "0": -1} {
		var args []string
		if given != "" {
			args = []string{"--idle-timeout", given}
		}
		c, err := parseTail(streams{in: strings.NewReader(""), out: &safeBuffer{}, err: &safeBuffer{}, env: environment()}, args)
		require.NoError(t, err)
		require.Equal(t, want, c.idle, given)
	}
}

func TestWrongUsageIsToldInOneLineAndExits2(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"serve", "--listen", "0.0.0.0:8080"}, "without authorization only loopback"},
		{[]string{"serve", "--listen", ":8080"}, "without authorization only loopback"},
		{[]string{"serve", "--listen", "192.168.1.1:80"}, "without authorization only loopback"},
		{[]string{"serve", "--listen", "example.com:80"}, "without authorization only loopback"},
		{[]string{"serve", "--listen", "127.0.0.1"}, "give host:port"},
		{[]string{"serve", "--listen", "127.0.0.1:"}, "give host:port"},
		{[]string{"serve", "extra"}, "unexpected argument"},
		{[]string{"serve", "--data", ""}, "--data: must not be empty"},
		{[]string{"serve", "--policy", "hope"}, "give catch-up, retry, drop-oldest or disconnect"},
		{[]string{"serve", "--heartbeat", "1ms"}, "--heartbeat"},
		{[]string{"serve", "--heartbeat", "-1s"}, "give a duration"},
		{[]string{"serve", "--retry", "-1s"}, "give a duration"},
		{[]string{"serve", "--stall-timeout", "-1s"}, "give a duration"},
		{[]string{"serve", "--drain", "0"}, "--drain"},
		{[]string{"serve", "--max-event-size", "1"}, "--max-event-size"},
		{[]string{"serve", "--max-event-size", "lots"}, "give a size"},
		{[]string{"serve", "--queue-bytes", "2GiB"}, "--queue-bytes"},
		{[]string{"serve", "--buffer", "1"}, "--buffer"},
		{[]string{"serve", "--max-connections", "-1"}, "--max-connections"},
		{[]string{"serve", "--retain-count", "-1"}, "--retain-count"},
		{[]string{"serve", "--retain-age", "-1h"}, "give a duration"},
		{[]string{"serve", "--retain-bytes", "-1"}, "give a size"},
		{[]string{"serve", "--demo=yes"}, `invalid boolean value "yes" for flag --demo: give true or false`},
		{[]string{"tail", "--last-event-id", "1\n2"}, "--last-event-id"},
		{[]string{"serve", "--log-level", "loud"}, "log-level"},
		{[]string{"serve", "--log-format", "xml"}, "give text or json"},
		{[]string{"push", "--url", "localhost:8080", "x"}, "give the hub's address"},
		{[]string{"push", "two", "words"}, "put it in quotes"},
		{[]string{"push", "--lines", "x"}, "leave the data out"},
		{[]string{"push", "--uid", "", "x"}, "must not be empty"},
		{[]string{"tail", "--url", "ftp://x"}, "give the hub's address"},
		{[]string{"tail", "extra"}, "unexpected argument"},
		{[]string{"tail", "--count", "-1"}, "--count"},
	} {
		r := runToEnd(t, "", c.args...)
		require.Equal(t, exitUsage, r.code, "%v", c.args)
		first, rest, _ := strings.Cut(r.err, "\n")
		require.Contains(t, first, c.says, "%v", c.args)
		require.Contains(t, rest, "Usage: spate "+c.args[0])
	}
	_, err := parseWith(environment("SPATE_BUFFER", "many"))
	require.ErrorContains(t, err, `SPATE_BUFFER="many" in the environment`)
	_, err = parseWith(environment("SPATE_DEMO", "yes"))
	require.ErrorContains(t, err, `SPATE_DEMO="yes" in the environment: give true or false`)
}

func TestSizesAndAges(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "4096": 4096, "10B": 10, "64KiB": 64 << 10, "3MiB": 3 << 20, "1GiB": 1 << 30, "2TiB": 2 << 40, "10MB": 10_000_000, "1TB": 1e12} {
		var v sizeValue
		require.NoError(t, v.Set(text))
		require.EqualValues(t, want, v, text)
		var again sizeValue
		require.NoError(t, again.Set(v.String()))
		require.Equal(t, v, again)
	}
	for _, text := range []string{"", "x", "-1", "1.5MiB", "9223372036854775807KiB", "1 KiB", "KiB"} {
		require.Error(t, new(sizeValue).Set(text), text)
	}
	for text, want := range map[string]time.Duration{"0": 0, "90s": 90 * time.Second, "7d": 7 * 24 * time.Hour, "1h30m": 90 * time.Minute} {
		var v ageValue
		require.NoError(t, v.Set(text))
		require.EqualValues(t, want, v, text)
	}
	for _, text := range []string{"", "d", "-1d", "1w", "-1s", "99999999d"} {
		require.Error(t, new(ageValue).Set(text), text)
	}
	week := ageValue(7 * 24 * time.Hour)
	require.Equal(t, "7d", week.String())
}

func TestLoopback(t *testing.T) {
	for _, host := range []string{"localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"} {
		require.True(t, isLoopback(host), host)
	}
	for _, host := range []string{"", "0.0.0.0", "::", "10.0.0.1", "localhost.example.com", "127.0.0.1.example.com", "evil", "169.254.169.254"} {
		require.False(t, isLoopback(host), host)
	}
	for hostport, want := range map[string]string{"a:80": "a", "a": "a", "[::1]:80": "::1", "[::1]": "::1", "": "", "::1": "::1"} {
		require.Equal(t, want, hostname(hostport), hostport)
	}
}
