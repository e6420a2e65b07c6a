package seedtest

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	// The library itself, so that its sources are at hand.
	_ "github.com/go-dev-frame/sponge/pkg/sse"
	_ "github.com/spatehub/spate/sse"
	"github.com/stretchr/testify/require"
)

const (
	theirs = "github.com/go-dev-frame/sponge/pkg/sse"
	ours   = "github.com/spatehub/spate/sse"
)

// suites are the library's test files that use its exported names alone. The
// others (hub_test.go, safemap_test.go) reach into fields that a lock-free hub
// does not have.
var suites = []string{"server_test.go", "client_test.go", "event_test.go", "task_test.go", "benchmark_test.go"}

// folder returns where a package's sources lie.
func folder(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", path).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// binary builds package sse with the library's test files laid over it, none of
// them copied or changed: they are of package sse here as there.
func binary(t *testing.T) string {
	t.Helper()
	from, to := folder(t, theirs), folder(t, ours)
	var overlay struct{ Replace map[string]string }
	overlay.Replace = map[string]string{}
	own, err := filepath.Glob(filepath.Join(to, "*_test.go"))
	require.NoError(t, err)
	for _, path := range own {
		overlay.Replace[path] = "" // not there
	}
	for _, name := range suites {
		overlay.Replace[filepath.Join(to, "seed_"+name)] = filepath.Join(from, name)
	}
	text, err := json.Marshal(overlay)
	require.NoError(t, err)
	dir := t.TempDir()
	plan := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(plan, text, 0o600))
	bin := filepath.Join(dir, "sse.test")
	out, err := exec.Command("go", "test", "-c", "-vet=off", "-overlay", plan, "-o", bin, ours).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return bin
}

// list returns what the binary has by the pattern's name.
func list(t *testing.T, bin, pattern string) []string {
	t.Helper()
	out, err := exec.Command(bin, "-test.list", pattern).Output()
	require.NoError(t, err)
	return regexp.MustCompile(`(?m)^(?:Test|Benchmark)\w+$`).FindAllString(string(out), -1)
}

// tries: their tests give each step a tenth of a second, which a busy machine
// does not always have.
const tries = 5

// TestSeedSuite: a program written for the library works with package sse: its
// own tests and benchmarks are such programs.
func TestSeedSuite(t *testing.T) {
	bin := binary(t)
	names := append(list(t, bin, "^Test(Serve|ServeHTTP.*|PushEvent.*|SSEClient.*|Event.*|Store|AsyncTask.*)$"), list(t, bin, "^Benchmark")...)
	require.Len(t, names, 11, "%q", names)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			args := []string{"-test.run", "^" + name + "$", "-test.v"}
			if strings.HasPrefix(name, "Benchmark") {
				args = []string{"-test.run", "^$", "-test.bench", "^" + name + "$", "-test.benchtime", "2000x"}
			}
			var out []byte
			for range tries {
				var err error
				if out, err = exec.Command(bin, args...).CombinedOutput(); err == nil {
					require.True(t, bytes.Contains(out, []byte("PASS")), "%s", out)
					return
				}
			}
			t.Fatalf("failed %d times, the last time with:\n%s", tries, out)
		})
	}
}
