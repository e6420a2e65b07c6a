package interop

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestClientContract: the Go client passes the public contract tests for SSE clients, LaunchDarkly's sse-contract-tests,
// where that program is in the PATH: each test of it, as no capability is left out.
func TestClientContract(t *testing.T) {
	suite := needs(t, "sse-contract-tests")
	bin := filepath.Join(t.TempDir(), "contracttest")
	output(t, "..", "go", "build", "-o", bin, "./client/contracttest")

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	service := exec.CommandContext(ctx, bin, "-listen", "127.0.0.1:0")
	stdout, err := service.StdoutPipe()
	require.NoError(t, err)
	var stderr safeBuffer
	service.Stderr = &stderr
	require.NoError(t, service.Start())
	ended := make(chan error, 1)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	go func() { ended <- service.Wait() }()
	t.Cleanup(func() { _ = service.Process.Kill() })
	require.NoError(t, err, "%s", &stderr)
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	require.True(t, ok, "%s", line)

	_, port, err := net.SplitHostPort(freeAddress(t))
	require.NoError(t, err)
	out, err := exec.CommandContext(ctx, suite, "-url", url, "-port", port, "-stop-service-at-end").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "All tests passed")
	require.NotContains(t, strings.ToLower(string(out)), "skipped", "a capability is missing")
	require.Greater(t, bytes.Count(out, []byte("\n[")), 100, "they have run")
	select {
	case err := <-ended:
		require.NoError(t, err, "%s", &stderr)
	case <-ctx.Done():
		require.Fail(t, "the service does not end when it is told to")
	}
}
