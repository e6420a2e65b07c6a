package apitest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var route = regexp.MustCompile(`\.Handle(?:Func)?\("([A-Z]+ /[^"]*)"`)

// routesOf returns the patterns that the Go files of the folders register.
func routesOf(t *testing.T, folders ...string) (patterns []string) {
	t.Helper()
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		require.NoError(t, err)
		require.NotEmpty(t, files, folder)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, m := range route.FindAllStringSubmatch(string(text), -1) {
				patterns = append(patterns, m[1])
			}
		}
	}
	return patterns
}
