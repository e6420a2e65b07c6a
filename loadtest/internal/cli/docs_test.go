package cli_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/internal/report"
)

// The scenario of the page can be run, and every flag that the page names is one.
func TestThePageIsTrue(t *testing.T) {
	b, err := os.ReadFile("../../../docs/loadtest.md")
	require.NoError(t, err)
	text := string(b)
	_, rest, found := strings.Cut(text, "```yaml\n")
	require.True(t, found)
	yaml, _, _ := strings.Cut(rest, "```")
	code, out, errs := command(t, "check", scenario(t, yaml))
	require.Equal(t, report.ExitOK, code, errs)
	require.Contains(t, out, "2000 streams")

	var known string
	for _, name := range []string{"run", "agent", "compare"} {
		_, _, help := command(t, name, "-h")
		known += help
	}
	for _, m := range regexp.MustCompile("[ `(]-([a-z][a-z0-9-]{2,})").FindAllStringSubmatch(text, -1) {
		if before, after, _ := strings.Cut(text, m[0]); strings.HasSuffix(before, "go test") || strings.HasPrefix(after, " XXX") || m[1] == "bench" || m[1] == "benchtime" || m[1] == "run" {
			continue
		}
		require.Regexp(t, `(?m)^  -`+regexp.QuoteMeta(m[1])+`( |$)`, known, "the page names -%s", m[1])
	}
}
