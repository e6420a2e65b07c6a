package browsertest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long a condition may take on a busy machine before the test fails.
const patience = time.Minute

// buildHub builds the hub as a user runs it, but with the race detector, once for all tests. HUB_UNDER_TEST names one that is
// built already.
func buildHub(t *testing.T) string {
	t.Helper()
	bin, err := built()
	require.NoError(t, err)
	return bin
}

var built = sync.OnceValues(func() (string, error) {
	if bin := os.Getenv("HUB_UNDER_TEST"); bin != "" {
		return bin, nil
	}
	dir, err := scratch()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "spate")
	cmd := exec.Command("go", "build", "-race", "-o", bin, "./cmd/spate")
	cmd.Dir = filepath.Join("..", "..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return bin, nil
})

// hub is a running hub process.
type hub struct {
	t      *testing.T
	cmd    *exec.Cmd
	base   string // http://127.0.0.1:port
	stderr *safeBuffer
	exited chan error
}

// startHub starts the hub on the address and returns once it says that it listens. Whatever happens, it is gone at the
// test's end.
func startHub(t *testing.T, bin, listen, data string) *hub {
	t.Helper()
	return startHubWith(t, bin, "--demo", "--listen", listen, "--data", data)
}

// startHubWith is startHub with other flags.
func startHubWith(t *testing.T, bin string, flags ...string) *hub {
	t.Helper()
	h := &hub{t: t, cmd: exec.Command(bin, append([]string{"serve"}, flags...)...), stderr: &safeBuffer{}, exited: make(chan error, 1)}
	h.cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { // those of these tests are no settings
		name, _, _ := strings.Cut(v, "=")
		return strings.HasPrefix(name, "SPATETEST_")
	})
	h.cmd.Stderr = h.stderr
	stdout, err := h.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, h.cmd.Start())
	t.Cleanup(func() {
		_ = h.cmd.Process.Kill() // again to no effect
		require.NotContains(t, h.stderr.String(), "DATA RACE")
	})
	lines := bufio.NewScanner(stdout)
	for h.base == "" && lines.Scan() {
		if _, url, ok := strings.Cut(lines.Text(), "dashboard"); ok {
			h.base = strings.TrimSuffix(strings.TrimSpace(url), "/")
		}
	}
	require.NotEmpty(t, h.base, "the hub did not start: %s", h.stderr)
	go func() {
		_, _ = io.Copy(io.Discard, stdout)
		h.exited <- h.cmd.Wait()
	}()
	return h
}

func (h *hub) address() string { return strings.TrimPrefix(h.base, "http://") }

// end sends the signal and waits for the process to be gone.
func (h *hub) end(sig syscall.Signal) error {
	h.t.Helper()
	require.NoError(h.t, h.cmd.Process.Signal(sig))
	select {
	case err := <-h.exited:
		return err
	case <-time.After(patience):
		require.FailNow(h.t, "the hub did not end", "%s", h.stderr)
		return nil
	}
}

// push pushes one event and returns its acknowledged ID.
func push(ctx context.Context, base string, event map[string]any) (string, error) {
	body, err := json.Marshal(map[string]any{"events": []any{event}})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/push", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var reply struct{ IDs []string }
	if err := json.NewDecoder(res.Body).Decode(&reply); err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK || len(reply.IDs) != 1 {
		return "", fmt.Errorf("push answered %s %v", res.Status, reply)
	}
	return reply.IDs[0], nil
}

// pushers push numbered events with some concurrency until enough are acknowledged or the hub is gone.
type pushers struct {
	mu    sync.Mutex
	acked map[string]string // ID -> data
	next  int
}

// run returns when n more events are acknowledged, or, with n < 0, when every pusher has met an error. reached is
// closed once the first mark of them are acknowledged.
func (p *pushers) run(ctx context.Context, base string, n, mark int, reached chan<- struct{}) {
	var running sync.WaitGroup
	count := 0
	for range 4 {
		running.Go(func() {
			for {
				p.mu.Lock()
				done := n >= 0 && count >= n
				p.next++
				data := fmt.Sprintf("number %d", p.next)
				p.mu.Unlock()
				if done {
					return
				}
				id, err := push(ctx, base, map[string]any{"data": data})
				if err != nil {
					return
				}
				p.mu.Lock()
				p.acked[id] = data
				if count++; count == mark {
					close(reached)
				}
				p.mu.Unlock()
			}
		})
	}
	running.Wait()
}

// stats fetches /stats.
func stats(t *testing.T, base string) map[string]any {
	t.Helper()
	res, err := http.Get(base + "/stats")
	require.NoError(t, err)
	defer res.Body.Close()
	var body map[string]any
	require.NoError(t, json.NewDecoder(res.Body).Decode(&body))
	return body
}

// seen is one event as a plain client reads it.
type seen struct{ id, event, data string }

// readUntil reads the stream after an ID until it has the event with ID last, with a parser of its own, and returns
// everything it got. The hub ends each line with LF.
func readUntil(t *testing.T, url, last string) []seen {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, "text/event-stream", strings.SplitN(res.Header.Get("Content-Type"), ";", 2)[0])
	var all []seen
	var e seen
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			e.id = value
		case "event":
			e.event = value
		case "data":
			e.data += value + "\n"
		case "":
			if lines.Text() == "" && e.data != "" {
				all = append(all, e)
				if e.id == last {
					return all
				}
			}
			if lines.Text() == "" {
				e = seen{}
			}
		}
	}
	require.FailNow(t, "the stream ended early", "%v after %d events, without %s", lines.Err(), len(all), last)
	return nil
}

// safeBuffer is a bytes.Buffer for several goroutines.
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
