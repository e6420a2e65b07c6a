package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/cmd/spate/internal/demo"
	"github.com/spatehub/spate/persist/pebblelog"
)

const asJSON = "application/json"

func TestEveryRouteAnswers(t *testing.T) {
	s := startServe(t, "--memory")
	code, body := s.get("/")
	require.Equal(t, 200, code)
	require.Contains(t, body, "<title>spate</title>")
	code, body = s.get("/healthz")
	require.Equal(t, 200, code)
	require.Contains(t, body, `"ok"`)
	code, body = s.get("/metrics")
	require.Equal(t, 200, code)
	require.Contains(t, body, "# TYPE ")

	code, body = s.do("POST", "/push", `{"events":[{"data":"one"},{"data":"two"}]}`, "Content-Type", asJSON)
	require.Equal(t, 200, code, body)
	var reply struct{ IDs []string }
	require.NoError(t, json.Unmarshal([]byte(body), &reply))
	require.Len(t, reply.IDs, 2)

	code, body = s.get("/stats")
	require.Equal(t, 200, code)
	var stats statsReply
	require.NoError(t, json.Unmarshal([]byte(body), &stats))
	require.True(t, stats.Healthy)
	require.EqualValues(t, 2, stats.Hub.Events)
	require.Equal(t, reply.IDs[0], stats.Log.First)
	require.Equal(t, reply.IDs[1], stats.Log.Last)
	require.Equal(t, reply.IDs[1], stats.Position)

	code, _ = s.get("/no/such/page")
	require.Equal(t, 404, code)
	code, _ = s.get("/push")
	require.Equal(t, 405, code)
	code, _ = s.do("POST", "/events", "")
	require.Equal(t, 405, code)
}

// TestWebPagesOfOthersAreKeptOut: the hub has no authorization, and every page in a browser on this machine can reach
// a loopback address.
func TestWebPagesOfOthersAreKeptOut(t *testing.T) {
	s := startServe(t, "--memory")
	const event = `{"events":[{"data":"x"}]}`
	for _, c := range []struct {
		name, method, path string
		want               int
		header             []string
	}{
		{"a tool", "POST", "/push", 200, []string{"Content-Type", asJSON}},
		{"the hub's own page", "POST", "/push", 200, []string{"Content-Type", asJSON, "Origin", s.base, "Sec-Fetch-Site", "same-origin"}},
		{"a page of another site", "POST", "/push", 403, []string{"Content-Type", asJSON, "Origin", "http://evil.example"}},
		{"a page without an origin", "POST", "/push", 403, []string{"Content-Type", asJSON, "Origin", "null"}},
		{"a page of another port", "POST", "/push", 403, []string{"Content-Type", asJSON, "Origin", "http://127.0.0.1:1", "Sec-Fetch-Site", "same-site"}},
		{"a form of another site", "POST", "/push", 403, []string{"Content-Type", "text/plain", "Sec-Fetch-Site", "cross-site"}},
		{"a form's type", "POST", "/push", 415, []string{"Content-Type", "text/plain"}},
		{"a tool that names no type", "POST", "/push", 415, nil},
		{"a page that names no type", "POST", "/push", 403, []string{"Origin", "http://evil.example"}},
		{"a name bound to the loopback address", "GET", "/stats", 421, []string{"Host", "evil.example"}},
		{"a name like a loopback address", "GET", "/", 421, []string{"Host", "127.0.0.1.evil.example:8080"}},
		{"a push by such a name", "POST", "/push", 421, []string{"Host", "evil.example", "Content-Type", asJSON, "Origin", "http://evil.example"}},
		{"another loopback name", "GET", "/stats", 200, []string{"Host", "localhost:8080"}},
		{"a stream from another site", "GET", "/events", 403, []string{"Sec-Fetch-Site", "cross-site"}},
		{"a link from another site", "GET", "/", 200, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := ""
			if c.method == "POST" {
				body = event
			}
			code, text := s.do(c.method, c.path, body, c.header...)
			require.Equal(t, c.want, code, text)
			if c.want >= 400 {
				var e struct{ Detail string }
				require.NoError(t, json.Unmarshal([]byte(text), &e), text)
				require.NotEmpty(t, e.Detail)
			}
		})
	}
}

// failsWith runs `spate serve` that cannot start, and returns its message.
func failsWith(t *testing.T, args ...string) string {
	t.Helper()
	r := runToEnd(t, "", append([]string{"serve"}, args...)...)
	require.Equal(t, exitFailed, r.code, r.err)
	require.Empty(t, r.out, "nothing is announced")
	require.Equal(t, 1, strings.Count(r.err, "\n"), "one line: %s", r.err)
	return r.err
}

func TestWhatHindersAStartIsToldWithARemedy(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	says := failsWith(t, "--memory", "--listen", taken.Addr().String())
	require.Contains(t, says, "is in use by another program")
	require.Contains(t, says, "--listen")

	dir := t.TempDir()
	startServe(t, "--data", dir)
	says = failsWith(t, "--data", dir, "--listen", "127.0.0.1:0")
	require.Contains(t, says, "in use by another hub")
	require.Contains(t, says, "--data")

	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, path := range []string{file, filepath.Join(file, "below")} {
		says = failsWith(t, "--data", path, "--listen", "127.0.0.1:0")
		require.Contains(t, says, "is no folder")
	}

	require.ErrorContains(t, explainOpen("d", &os.PathError{Op: "mkdir", Path: "d", Err: syscall.EACCES}), "no permission to write to the folder d")
	require.ErrorContains(t, explainOpen("d", &os.PathError{Op: "mkdir", Path: "d", Err: syscall.EROFS}), "the folder d is on a read-only file system")
	require.ErrorContains(t, explainOpen("d", fmt.Errorf("persist: open \"d\": %w: MANIFEST-000001 is missing", pebblelog.ErrDamaged)),
		"the folder d: the log is damaged: MANIFEST-000001 is missing; nothing was changed: restore a backup, or")
	require.ErrorContains(t, explainOpen("d", fmt.Errorf("persist: open \"d\": %w: no log, but a.txt", pebblelog.ErrForeign)), "not taken for a log")
	require.ErrorContains(t, explainOpen("d", fmt.Errorf("persist: open \"d\": %w", pebblelog.ErrFormat)), "spate log export")
	require.ErrorContains(t, explainOpen("d", &os.PathError{Op: "write", Path: "d", Err: syscall.ENOSPC}), "no space left")
}

// TestASignalDrains: invariant 9. Streams end, the code is 0, and the next hub on the same folder goes on.
func TestASignalDrains(t *testing.T) {
	dir := t.TempDir()
	s := startServe(t, "--data", dir)
	tailed := make(chan result, 1)
	go func() {
		tailed <- runToEnd(t, "", "tail", "--url", s.base, "--count", "1", "--json")
	}()
	require.Eventually(t, func() bool { _, body := s.get("/stats"); return strings.Contains(body, `"clients": 1`) }, patience, tick)
	r := runToEnd(t, "", "push", "--url", s.base, "before")
	require.Equal(t, exitOK, r.code, r.err)
	require.Contains(t, (<-tailed).out, `"data":"before"`)
	require.Equal(t, exitOK, s.stop(), s.err.String())

	next := startServe(t, "--data", dir)
	_, body := next.get("/stats")
	require.Contains(t, body, `"last": "`+strings.TrimSpace(r.out)+`"`)
}

func TestTheDemoFeedsItsTopics(t *testing.T) {
	s := startServe(t, "--memory", "--demo")
	args := []string{"tail", "--url", s.base, "--json", "--count", "30"}
	for _, topic := range demo.Topics {
		args = append(args, "--topic", topic)
	}
	r := runToEnd(t, "", args...)
	require.Equal(t, exitOK, r.code, r.err)
	for _, topic := range []string{"cpu", "mem", "load", "hub"} {
		require.Contains(t, r.out, `"event":"`+topic+`"`)
	}
	_, body := s.get("/stats")
	require.Contains(t, body, `"demo": true`)
}
