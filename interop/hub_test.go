package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hub is a hub's process.
type hub struct {
	t      *testing.T
	base   string // http://127.0.0.1:port
	stderr safeBuffer
	cmd    *exec.Cmd
	exited chan error
}

// startHub starts a hub and returns when it listens. It is gone at the test's end.
func startHub(t *testing.T, listen, data string, args ...string) *hub {
	t.Helper()
	bin, err := spate()
	require.NoError(t, err)
	h := &hub{t: t, exited: make(chan error, 1)}
	h.cmd = exec.Command(bin, append([]string{"serve", "--listen", listen, "--data", data, "--retry", "300ms", "--heartbeat", "500ms"}, args...)...)
	h.cmd.Stderr = &h.stderr
	stdout, err := h.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, h.cmd.Start())
	t.Cleanup(func() { _ = h.cmd.Process.Kill() })
	lines := bufio.NewScanner(stdout)
	for h.base == "" && lines.Scan() {
		if _, url, ok := strings.Cut(lines.Text(), "dashboard"); ok {
			h.base = strings.TrimSuffix(strings.TrimSpace(url), "/")
		}
	}
	go func() {
		_, _ = io.Copy(io.Discard, stdout)
		h.exited <- h.cmd.Wait()
	}()
	require.NotEmpty(t, h.base, "the hub did not start: %s", &h.stderr)
	return h
}

func (h *hub) address() string { return strings.TrimPrefix(h.base, "http://") }

// end sends a signal and waits for the process to be gone.
func (h *hub) end(sig syscall.Signal) {
	h.t.Helper()
	require.NoError(h.t, h.cmd.Process.Signal(sig))
	select {
	case <-h.exited:
	case <-time.After(patience):
		require.FailNow(h.t, "the hub did not end", "%s", &h.stderr)
	}
}

// event is an event that was acknowledged, or handed out.
type event struct{ ID, Type, Data string }

// push publishes one event for everybody, or for one user.
func push(base, uid string, e event) (event, error) {
	request := map[string]any{"events": []any{map[string]any{"event": e.Type, "data": e.Data}}}
	if uid != "" {
		request["uids"] = []string{uid}
	}
	body, err := json.Marshal(request)
	if err != nil {
		return e, err
	}
	resp, err := http.Post(base+"/push", "application/json", bytes.NewReader(body))
	if err != nil {
		return e, err
	}
	defer resp.Body.Close()
	var reply struct{ IDs []string }
	if err := json.NewDecoder(resp.Body).Decode(&reply); err != nil {
		return e, err
	}
	if resp.StatusCode != http.StatusOK || len(reply.IDs) != 1 {
		return e, fmt.Errorf("push: %s", resp.Status)
	}
	e.ID = reply.IDs[0]
	return e, nil
}

// freeAddress returns an address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// safeBuffer is a buffer for a process's output.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
