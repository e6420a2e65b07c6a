package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMetricsAreDocumented: the tables of docs/operations.md have every metric of a hub, and none that there is not.
func TestMetricsAreDocumented(t *testing.T) {
	s := startServe(t, "--data", t.TempDir())
	res, err := http.Get(s.base + "/metrics")
	require.NoError(t, err)
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	docs, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	require.NoError(t, err)

	there := names(regexp.MustCompile(`(?m)^# TYPE (spate_\w+) `), string(text))
	told := names(regexp.MustCompile("`(spate_\\w+)(?:\\{\\w+\\})?`"), string(docs))
	require.NotEmpty(t, there)
	require.Equal(t, there, told)
}

// names returns what the pattern's group matches, each once, sorted.
func names(pattern *regexp.Regexp, text string) (found []string) {
	for _, m := range pattern.FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	slices.Sort(found)
	return slices.Compact(found)
}
