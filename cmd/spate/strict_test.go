package main

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/serve/stream"
)

// The variables that are known are those of the flags, no more and no less.
func TestKnownVariablesAreTheFlags(t *testing.T) {
	var names []string
	for _, c := range append(commands(), logCommands()...) {
		help := runToEnd(t, "", append(strings.Fields(c.name), "--help")...).out
		for _, m := range regexp.MustCompile(`\[(SPATE_[A-Z0-9_]+)\]`).FindAllStringSubmatch(help, -1) {
			names = append(names, m[1])
		}
	}
	slices.Sort(names)
	require.Equal(t, slices.Compact(names), flagVariables)
}

// Invariant 12: a variable of ours that nothing reads is refused by name; those that
// orchestrators set for a service called spate, and other programs', are not.
func TestUnknownVariablesAreRefused(t *testing.T) {
	run := func(pairs ...string) result {
		var out, errs safeBuffer
		s := streams{in: strings.NewReader(""), out: &out, err: &errs, env: environment(), environ: func() []string { return pairs }}
		return result{run([]string{"serve", "--help"}, s), out.String(), errs.String()}
	}
	got := run("SPATE_RETIAN_AGE=7d")
	require.Equal(t, exitUsage, got.code)
	require.Contains(t, got.err, "SPATE_RETIAN_AGE")
	require.Contains(t, got.err, "SPATE_RETAIN_AGE")
	got = run("SPATE_NOTHING_LIKE_IT_AT_ALL=1")
	require.Equal(t, exitUsage, got.code)
	require.Contains(t, got.err, "SPATE_NOTHING_LIKE_IT_AT_ALL")
	require.Equal(t, exitOK, run("SPATE_RETAIN_AGE=7d", "PATH=/bin", "spate_x=1", "SPATE_PORT=tcp://10.0.0.1:80",
		"SPATE_SERVICE_HOST=10.0.0.1", "SPATE_PORT_8080_TCP_ADDR=10.0.0.1").code)
}

// What contradicts itself, or cannot be meant, is refused, and says what is taken; it
// exits as wrong usage.
func TestContradictionsAndMistakesAreExplained(t *testing.T) {
	for line, want := range map[string]string{
		"serve --memory --data X":                     "contradict",
		"serve --memory --no-sync":                    "contradict",
		"serve --retain-count 1.5":                    "whole number",
		"serve --max-connections many":                "whole number",
		"serve --retain-topic prices=count":           "write it as count:1000",
		"serve --retain-topic prices=count:x":         "positive number",
		"serve --log-level foo":                       "debug, info, warn or error",
		"serve --listen 127.0.0.1:99999":              "65535",
		"serve --listen 127.0.0.1:none":               "no port",
		"serve --retain-bytes 10Gigs":                 "GiB",
		"serve --retain-age 1d12":                     "1d12h",
		"serve --descriptor-reserve -1":               "positive",
		"serve --push-memory 1MiB":                    "give 56MiB or more",
		"serve --push-memory 57M --max-event-size 2M": "give 104MiB or more",
		"serve --user-header Host":                    "X-Spate-User",
		"serve --user-header=":                        "--user-header: must not be empty",
		"serve --token-file=":                         "--token-file: must not be empty",
		"serve --config=":                             "--config: must not be empty",
		"push --topic= hello":                         "--topic: must not be empty",
		"tail --uid=":                                 "--uid: must not be empty",
		"tail --last-event-id=":                       "--last-event-id: must not be empty",
		"log export --after= d":                       "--after: must not be empty",
		"push --url http://127.0.0.1:1#u1 hello":      "has a fragment",
		"serve --retain-age -0d":                      "give a duration",
		"serve --retain-age 1d --retain-age 2d":       "given twice",
		"tail --uid a --uid b":                        "given twice",
		"serve --memory=yes":                          "give true or false",
		"tail --url http://127.0.0.1:1/?uid=u1":       "has a query",
		"push --url http://127.0.0.1:1/?uid=u1 hello": "has a query",
		"push hello --url http://127.0.0.1:1":         "flags come first",
		"push hello world":                            "quotes",
	} {
		got := runToEnd(t, "", strings.Fields(line)...)
		require.Equal(t, exitUsage, got.code, "%s: %s", line, got.err)
		require.Contains(t, got.err, want, line)
		require.NotContains(t, got.err, "parse error", line)
	}
	if limit := stream.DescriptorStats().Limit; limit > 0 {
		got := runToEnd(t, "", "serve", "--descriptor-reserve", strconv.Itoa(limit))
		require.Equal(t, exitUsage, got.code, got.err)
		require.Contains(t, got.err, "ulimit -n")
	}
	_, err := parseWith(environment("SPATE_DATA", "X"), "--memory")
	require.NoError(t, err, "a flag wins over the environment")
	_, err = parseWith(environment("SPATE_MEMORY", "yes"))
	require.ErrorContains(t, err, "give true or false")
	_, err = parseWith(environment("SPATE_USER_HEADER", ""))
	require.ErrorContains(t, err, `SPATE_USER_HEADER="" in the environment: must not be empty`, "the query would name users again")
	_, err = parseWith(environment("SPATE_TOKEN_FILE", ""))
	require.ErrorContains(t, err, `SPATE_TOKEN_FILE="" in the environment: must not be empty`, "nobody would be asked for a token")
	_, err = parseWith(environment("SPATE_DATA", "X", "SPATE_MEMORY", "true"))
	require.ErrorContains(t, err, "contradict")
}

func TestUnitsAreTakenAsTheyAreWritten(t *testing.T) {
	for text, want := range map[string]int64{"10G": 10 << 30, "10gib": 10 << 30, "10mb": 10e6, "1k": 1 << 10, "7": 7, "7b": 7, "2TB": 2e12} {
		var v sizeValue
		require.NoError(t, v.Set(text), text)
		require.EqualValues(t, want, v, text)
	}
	for text, want := range map[string]time.Duration{"1d12h": 36 * time.Hour, "7d": 7 * 24 * time.Hour, "0d": 0, "0": 0, "1d0s": 24 * time.Hour} {
		var v ageValue
		require.NoError(t, v.Set(text), text)
		require.EqualValues(t, want, v, text)
	}
	for text, want := range map[string]int64{"1e6": 1_000_000, "1000": 1000, "0": 0} {
		var v countValue
		require.NoError(t, v.Set(text), text)
		require.EqualValues(t, want, v, text)
	}
	for _, text := range []string{"", "1.5", "1e-1", "-1", "1e300", "NaN", "0x10"} {
		require.Error(t, new(countValue).Set(text), text)
	}
	for _, text := range []string{"", "d", "-1d", "+1d", "1d-2h", "1d1d", "200000d", "106751d24h", "12"} {
		require.Error(t, new(ageValue).Set(text), text)
	}
}

// FuzzSettings: whatever is given, a setting is refused, or is what it shows itself as.
func FuzzSettings(f *testing.F) {
	for _, text := range []string{"10G", "1d12h", "1e6", "prices=count:1000,age:1h", "debug", "106751d23h", "9223372036854775807"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var size, size2 sizeValue
		if size.Set(text) == nil {
			require.GreaterOrEqual(t, size, sizeValue(0))
			require.NoError(t, size2.Set(size.String()))
			require.Equal(t, size, size2)
		}
		var age, age2 ageValue
		if age.Set(text) == nil {
			require.GreaterOrEqual(t, age, ageValue(0))
			require.NoError(t, age2.Set(age.String()))
			require.Equal(t, age, age2)
		}
		var count, count2 countValue
		if count.Set(text) == nil {
			require.GreaterOrEqual(t, count, countValue(0))
			require.NoError(t, count2.Set(count.String()))
			require.Equal(t, count, count2)
		}
		var topics, topics2 topicRetention
		if topics.Set(text) == nil && !strings.Contains(text, ";") {
			require.NoError(t, topics2.Set(topics.String()))
			require.Equal(t, topics.topics, topics2.topics)
		}
	})
}

// Bytes that JSON would turn into others are refused before they are sent.
func TestPushRefusesInvalidUTF8(t *testing.T) {
	for _, args := range [][]string{{"a\xffb"}, {"--event", "\xff", "x"}, {"--topic", "\xff", "x"}, {"--uid", "\xff", "x"}, {"--key", "\xff", "x"}} {
		got := runToEnd(t, "", append([]string{"push", "--url", "http://127.0.0.1:1"}, args...)...)
		require.Equal(t, exitFailed, got.code)
		require.Contains(t, got.err, "not valid UTF-8 at byte")
	}
	got := runToEnd(t, "fine\nbro\xffken\n", "push", "--url", "http://127.0.0.1:1", "-")
	require.Contains(t, got.err, "the data: not valid UTF-8 at byte 9")
	s := startServe(t, "--memory")
	got = runToEnd(t, "one\ntwo\n\xff\nfour", "push", "--url", s.base, "--lines")
	require.Equal(t, exitFailed, got.code)
	require.Equal(t, 2, strings.Count(got.out, "\n"), "those before it are pushed")
	require.Contains(t, got.err, "line 3: the data: not valid UTF-8 at byte 1")
	got = runToEnd(t, "one\n"+strings.Repeat("x", 2<<20), "push", "--url", s.base, "--lines")
	require.Contains(t, got.err, "line 2: the hub refused the event (413")
	got = runToEnd(t, "", "push", "--url", "http://127.0.0.1:1", "\uFFFD is a character")
	require.Contains(t, got.err, "no hub answers")
}
