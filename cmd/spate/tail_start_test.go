package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tail begins where it is told to, and a second place is a contradiction.
func TestTailBeginsAnywhere(t *testing.T) {
	s := startServe(t, "--data", t.TempDir())
	var ids []string
	for _, data := range []string{"one", "two"} {
		ids = append(ids, strings.TrimSpace(runToEnd(t, "", "push", "--url", s.base, data).out))
	}
	all := ids[0] + "\tmessage\tone\n" + ids[1] + "\tmessage\ttwo\n"
	for _, start := range [][]string{
		{"--from-beginning"}, {"--last-event-id", "0"}, {"--since", "1h"}, {"--since", "1d"}, {"--since", "1d12h"}, {"--since", "0001-01-01T00:00:00Z"},
		{"--since", time.Now().Add(-time.Hour).Format(time.RFC3339)},
	} {
		r := runToEnd(t, "", append([]string{"tail", "--url", s.base, "--count", "2"}, start...)...)
		require.Equal(t, exitOK, r.code, "%q: %s", start, r.err)
		require.Equal(t, all, r.out, "%q: no gap where nothing is missing", start)
	}

	for _, wrong := range [][]string{
		{"--from-beginning", "--since", "1h"}, {"--since", "1h", "--last-event-id", "7"}, {"--last-event-id", "7", "--from-beginning"},
	} {
		r := runToEnd(t, "", append([]string{"tail", "--url", s.base}, wrong...)...)
		require.Equal(t, exitUsage, r.code)
		require.Contains(t, r.err, "contradict each other")
	}
	r := runToEnd(t, "", "tail", "--url", s.base, "--since", "yesterday")
	require.Equal(t, exitUsage, r.code)
	require.Contains(t, r.err, "give a time such as")
}
