package main

import (
	"encoding/json"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tick is how often a condition is looked at.
const tick = 5 * time.Millisecond

func TestPushPrintsIDsAndTailPrintsEvents(t *testing.T) {
	s := startServe(t, "--memory")
	anchor := strings.TrimSpace(runToEnd(t, "", "push", "--url", s.base, "anchor").out)
	require.Regexp(t, `^\d+$`, anchor)

	var ids []string
	for _, args := range [][]string{
		{"plain"},
		{"--event", "greeting", "two\nlines\x1b[2J"},
		{"--topic", "a", "for topic a"},
		{"--topic", "b", "for topic b"},
		{"--uid", "u1", "--uid", "u2", "for two users"},
		{"--uid", "u3", "for another"},
	} {
		r := runToEnd(t, "", append([]string{"push", "--url", s.base}, args...)...)
		require.Equal(t, exitOK, r.code, r.err)
		ids = append(ids, strings.TrimSpace(r.out))
	}
	r := runToEnd(t, "from stdin\n", "push", "--url", s.base, "-")
	require.Equal(t, exitOK, r.code, r.err)
	r = runToEnd(t, "first line\r\n\nlast line", "push", "--url", s.base, "--lines")
	require.Equal(t, exitOK, r.code, r.err)
	require.Len(t, strings.Fields(r.out), 3)

	r = runToEnd(t, "", "tail", "--url", s.base, "--last-event-id", anchor, "--topic", "a", "--uid", "u1", "--count", "8")
	require.Equal(t, exitOK, r.code, r.err)
	lines := strings.Split(strings.TrimRight(r.out, "\n"), "\n")
	require.Equal(t, ids[0]+"\tmessage\tplain", lines[0])
	require.Equal(t, ids[1]+"\tgreeting\ttwo\\nlines\\x1b[2J", lines[1], "nothing steers the terminal")
	require.Equal(t, ids[2]+"\tmessage\tfor topic a", lines[2])
	require.Equal(t, ids[4]+"\tmessage\tfor two users", lines[3])
	require.Contains(t, lines[4], "\tfrom stdin")
	require.Contains(t, lines[5], "\tfirst line")
	require.True(t, strings.HasSuffix(lines[6], "\tmessage\t"), "an empty line is an event too: %q", lines[6])
	require.Contains(t, lines[7], "\tlast line")

	r = runToEnd(t, "", "tail", "--url", s.base, "--last-event-id", anchor, "--event", "greeting", "--json", "--count", "1")
	var e struct{ ID, Event, Data string }
	require.NoError(t, json.Unmarshal([]byte(r.out), &e))
	require.Equal(t, ids[1], e.ID)
	require.Equal(t, "two\nlines\x1b[2J", e.Data, "JSON keeps what it was")
}

func TestPushAndTailSayWhatIsWrong(t *testing.T) {
	s := startServe(t, "--memory")
	r := runToEnd(t, "", "push", "--url", s.base, "--topic", strings.Repeat("x", 300), "data")
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.err, "the hub refused the event (400 Bad Request)")
	require.Contains(t, r.err, "topic")
	r = runToEnd(t, "", "tail", "--url", s.base, "--topic", strings.Repeat("x", 300))
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.err, "400 Bad Request: topic")

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	free := "http://" + l.Addr().String()
	require.NoError(t, l.Close())
	for _, args := range [][]string{{"push", "--url", free, "x"}, {"tail", "--url", free}} {
		r = runToEnd(t, "", args...)
		require.Equal(t, exitFailed, r.code)
		require.Contains(t, r.err, "no hub answers at "+free)
		require.Contains(t, r.err, "spate serve")
	}
	r = runToEnd(t, "", "tail", "--url", s.base+"/stats?", "--count", "1")
	require.Equal(t, exitFailed, r.code)
}

// What an event may have at most is the hub's to say: tail takes it, and where it is told to take less, its one line says
// why it ends.
func TestTailTakesWhatAHubTakes(t *testing.T) {
	const size = 3 << 20
	s := startServe(t, "--memory", "--max-event-size", "4MiB")
	anchor := strings.TrimSpace(runToEnd(t, "", "push", "--url", s.base, "anchor").out)
	for _, data := range []string{strings.Repeat("x", size), "after"} {
		r := runToEnd(t, data, "push", "--url", s.base, "-")
		require.Equal(t, exitOK, r.code, r.err)
	}
	r := runToEnd(t, "", "tail", "--url", s.base, "--last-event-id", anchor, "--count", "2")
	require.Equal(t, exitOK, r.code, r.err)
	require.Greater(t, len(r.out), size)
	r = runToEnd(t, "", "tail", "--url", s.base, "--last-event-id", anchor, "--max-event-size", "2MiB")
	require.Equal(t, exitFailed, r.code)
	require.Equal(t, "spate tail: the event after "+anchor+" is larger than 2MiB; go on with --last-event-id and a larger --max-event-size\n", r.err)
	require.Empty(t, r.out)
}

// TestTailGoesOnAfterARestart: invariant 3, as a user of the command sees it.
func TestTailGoesOnAfterARestart(t *testing.T) {
	dir := t.TempDir()
	s := startServe(t, "--data", dir, "--retry", "10ms")
	signals, out, errs := make(chan os.Signal, 1), &safeBuffer{}, &safeBuffer{}
	done := make(chan int, 1)
	base := s.base
	go func() {
		done <- run([]string{"tail", "--url", base}, streams{in: strings.NewReader(""), out: out, err: errs, env: environment(), signals: signals})
	}()
	require.Eventually(t, func() bool { _, body := s.get("/stats"); return strings.Contains(body, `"clients": 1`) }, patience, tick)
	require.Equal(t, exitOK, runToEnd(t, "", "push", "--url", base, "before").code)
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "before") }, patience, tick)
	require.Equal(t, exitOK, s.stop(), s.err.String())

	startServe(t, "--data", dir, "--listen", strings.TrimPrefix(base, "http://"))
	require.Equal(t, exitOK, runToEnd(t, "", "push", "--url", base, "after").code)
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "after") }, patience, tick)
	require.Contains(t, errs.String(), "connected again")
	require.Equal(t, 2, strings.Count(out.String(), "\n"), out.String())
	signals <- syscall.SIGINT
	require.Equal(t, exitOK, <-done, "an interrupt is how tail ends")
}
