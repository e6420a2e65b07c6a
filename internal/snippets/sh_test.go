package snippets_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// prelude makes commands end that would go on for ever, as a reader would end them, and has `go run ./cmd/spate` and `spate`
// be the program that the test has built.
const prelude = `
set -euo pipefail
ended() { "$@" || { code=$?; [ $code = 124 ] || return $code; }; }
curl() { ended timeout 2 curl --fail-with-body -sS "$@"; }
spate() { ended timeout 2 "$HUB_PROGRAM" "$@"; }
go() {
	[ "$1 $2" = "run ./cmd/spate" ] || { echo "go $*: mark the block as not run" >&2; return 1; }
	shift 2
	spate "$@"
}
vmstat() { for i in 1 2 3; do echo "$i 0 0"; done; }
`

// TestShellBlocksRun: what the documents have readers type works, beside a hub with the demo feed.
func TestShellBlocksRun(t *testing.T) {
	for _, program := range []string{"bash", "curl", "timeout"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not here", program)
		}
	}
	dir := t.TempDir()
	binary := filepath.Join(dir, "spate")
	built, err := exec.Command("go", "build", "-o", binary, "../../cmd/spate").CombinedOutput()
	require.NoError(t, err, "%s", built)
	base := startHub(t, binary, "--data", filepath.Join(dir, "hub"), "--backup-dir", filepath.Join(dir, "backups"))

	n := 0
	for _, b := range blocks(t) {
		if b.language != "sh" || strings.HasPrefix(b.comment, "not run: ") {
			continue
		}
		n++
		t.Run(strings.NewReplacer("/", "_", ":", "_").Replace(b.where), func(t *testing.T) {
			cmd := exec.Command("bash", "-c", prelude+strings.ReplaceAll(b.text, "http://127.0.0.1:8080", base))
			cmd.Dir = t.TempDir()
			// A hub that a block starts takes a port that is free.
			cmd.Env = append(os.Environ(), "HUB_PROGRAM="+binary, "SPATE_URL="+base, "SPATE_LISTEN=127.0.0.1:0")
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s: %s", b.where, out)
		})
	}
	require.Greater(t, n, 3)
}

// startHub starts a hub and returns its address. It is gone at the test's end.
func startHub(t *testing.T, binary string, args ...string) string {
	t.Helper()
	cmd := exec.Command(binary, append([]string{"serve", "--demo", "--listen", "127.0.0.1:0"}, args...)...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		kill := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if _, url, ok := strings.Cut(lines.Text(), "dashboard"); ok {
			return strings.TrimSuffix(strings.TrimSpace(url), "/")
		}
	}
	require.FailNow(t, "the hub did not start")
	return ""
}
