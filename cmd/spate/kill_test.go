package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/client"
	"github.com/spatehub/spate/wire"
)

// TestKill kills the hub with -9 while events are pushed to it, several times over on one folder, and requires that
// every acknowledged event is there afterwards, once and in order (invariants 1, 2, 3 and 6): for a client that was
// connected all along, and for one that reads everything at the end. SPATETEST_KILL_ROUNDS sets how often (default 3).
func TestKill(t *testing.T) {
	rounds := 3
	if text := os.Getenv("SPATETEST_KILL_ROUNDS"); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(t, err, "SPATETEST_KILL_ROUNDS")
		rounds = n
	}
	dir := filepath.Join(t.TempDir(), "data")
	h := startProcess(t, "127.0.0.1:0", dir)
	anchor, err := h.push(t.Context(), "anchor")
	require.NoError(t, err)
	along := follow(t, h.base+"/events", anchor)

	acked := map[string]string{}
	for round := range rounds {
		pushed := h.pushUntilKilled(t, round)
		require.NotEmpty(t, pushed)
		for id, data := range pushed {
			require.NotContains(t, acked, id, "an ID is given once in a hub's life")
			acked[id] = data
		}
		h = startProcess(t, strings.TrimPrefix(h.base, "http://"), dir)
	}
	last, err := h.push(t.Context(), "the end")
	require.NoError(t, err)
	acked[last] = "the end"

	along.waitFor(t, last)
	late := follow(t, h.base+"/events?last_event_id="+anchor, "")
	late.waitFor(t, last)
	for name, w := range map[string]*record{"connected all along": along, "resumed at the end": late} {
		w.check(t, name, acked)
	}
	t.Logf("%d rounds, %d events acknowledged", rounds, len(acked))
}

// process is a hub of its own process; it has the race detector if the test has it.
type process struct {
	cmd  *exec.Cmd
	base string
	errs *safeBuffer
}

func startProcess(t *testing.T, listen, dir string) *process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	p := &process{cmd: exec.Command(self, "serve", "--listen", listen, "--data", dir, "--retry", "10ms"), errs: &safeBuffer{}}
	p.cmd.Env = append(os.Environ(), asProgram+"=1")
	p.cmd.Stderr = p.errs
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // again to no effect
		_ = p.cmd.Wait()
		require.NotContains(t, p.errs.String(), "DATA RACE")
	})
	p.base = readBase(stdout)
	require.NotEmpty(t, p.base, "the hub did not start: %s", p.errs)
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	return p
}

// push returns the ID of an acknowledged event.
func (p *process) push(ctx context.Context, data string) (string, error) {
	body := fmt.Appendf(nil, `{"events":[{"data":%q}]}`, data)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base+"/push", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", asJSON)
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
		return "", fmt.Errorf("push answered %s", res.Status)
	}
	return reply.IDs[0], nil
}

// pushUntilKilled pushes from several goroutines, kills the process once there are enough events, while more are under
// way, and returns the acknowledged ones.
func (p *process) pushUntilKilled(t *testing.T, round int) map[string]string {
	t.Helper()
	const pushers, enough = 8, 200
	var mu sync.Mutex
	acked := map[string]string{}
	reached := make(chan struct{})
	var running sync.WaitGroup
	for pusher := range pushers {
		running.Go(func() {
			for n := 0; ; n++ {
				data := fmt.Sprintf("round %d pusher %d number %d", round, pusher, n)
				id, err := p.push(t.Context(), data)
				if err != nil {
					return
				}
				mu.Lock()
				acked[id] = data
				if len(acked) == enough {
					close(reached)
				}
				mu.Unlock()
			}
		})
	}
	select {
	case <-reached:
	case <-time.After(patience):
		require.FailNow(t, "the hub takes no events", p.errs.String())
	}
	require.NoError(t, p.cmd.Process.Kill())
	_ = p.cmd.Wait()
	running.Wait()
	return acked
}

// record is what a client saw, in order.
type record struct {
	mu   sync.Mutex
	seen []wire.Event
}

// follow connects a client, which reconnects by itself, until the test's end.
func follow(t *testing.T, url, lastID string) *record {
	t.Helper()
	r := &record{}
	c := client.NewClient(url, client.WithLastEventID(lastID), client.WithMaxBackoff(100*time.Millisecond))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for e, err := range c.Events(ctx) {
			if err != nil {
				return
			}
			r.mu.Lock()
			r.seen = append(r.seen, *e)
			r.mu.Unlock()
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return r
}

func (r *record) waitFor(t *testing.T, id string) {
	t.Helper()
	require.Eventually(t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.seen) > 0 && r.seen[len(r.seen)-1].ID == id
	}, patience, tick, "the last event does not come")
}

// check requires every acknowledged event once, in order, and no gap. Events that were not acknowledged may be there
// too: the kill came between the log and the answer.
func (r *record) check(t *testing.T, name string, acked map[string]string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var last uint64
	found := 0
	for _, e := range r.seen {
		require.NotEqual(t, "gap", e.Event, "%s: %v", name, e.Data)
		id, err := wire.ParseID(e.ID)
		require.NoError(t, err)
		require.Greater(t, id, last, name)
		last = id
		if data, ok := acked[e.ID]; ok {
			require.Equal(t, data, e.Data, name)
			found++
		}
	}
	require.Equal(t, len(acked), found, "%s: acknowledged events are missing", name)
}
