package apitest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long a condition may take on a busy machine before a test fails.
const patience = time.Minute

// process is a hub that a test ends itself.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	base  string
	errs  *lockedBuffer
	ended chan struct{} // closed once it has
}

// lockedBuffer is a bytes.Buffer for several goroutines.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func startProcess(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t, exec.Command(binary, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...), "", &lockedBuffer{}, make(chan struct{})}
	p.cmd.Stderr = p.errs
	out, inner := io.Pipe()
	p.cmd.Stdout = inner
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // the exit code is looked at
		inner.Close()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // again to no effect
		<-p.ended
	})
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if p.base = address.FindString(lines.Text()); p.base != "" {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return p
		}
	}
	require.FailNow(t, "the hub did not start", p.errs)
	return nil
}

func (p *process) addr() string { return p.base[strings.LastIndexByte(p.base, 0x2f)+1:] }

func (p *process) signal() { require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM)) }

// exit waits for the end and returns the exit code.
func (p *process) exit() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		require.FailNow(p.t, "the hub does not end", p.errs)
	}
	return p.cmd.ProcessState.ExitCode()
}

// push returns the ID of an event, or an error where it was not acknowledged.
func (p *process) push(data string) (string, error) {
	res, err := http.Post(p.base+"/push", "application/json", strings.NewReader(`{"events":[{"data":`+strconv.Quote(data)+`}]}`))
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var reply struct{ IDs []string }
	if err := json.NewDecoder(res.Body).Decode(&reply); err != nil || res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %w", res.Status, errors.Join(err))
	}
	return reply.IDs[0], nil
}

// dial opens a stream, resuming after an ID where there is one.
func (p *process) dial(lastID string) net.Conn {
	p.t.Helper()
	c, err := net.Dial("tcp", p.addr())
	require.NoError(p.t, err)
	p.t.Cleanup(func() { c.Close() })
	if lastID != "" {
		lastID = "Last-Event-ID: " + lastID + "\r\n"
	}
	_, err = fmt.Fprintf(c, "GET /events HTTP/1.0\r\nHost: localhost\r\n%s\r\n", lastID)
	require.NoError(p.t, err)
	return c
}

// heard is what a stream was told.
type heard struct {
	ids    []string
	reason string
	retry  int // milliseconds, the last one
	err    error
}

// hear reads a stream to its end, or to the event with the ID.
func hear(c net.Conn, last string) (h heard) {
	event, id := "", ""
	lines := bufio.NewScanner(c)
	lines.Buffer(nil, 2<<20)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "event":
			event = value
		case "id":
			id = value
		case "retry":
			if h.retry, h.err = strconv.Atoi(value); h.err != nil {
				return h
			}
		case "data":
			switch {
			case event == "disconnect":
				h.reason = value
			case event == "":
				h.ids = append(h.ids, id)
				if id == last {
					return h
				}
			default:
				h.err = fmt.Errorf("an event %q that nobody pushed: %s", event, value)
				return h
			}
			event, id = "", ""
		}
	}
	h.err = lines.Err()
	return h
}

// clients waits until the hub has so many streams.
func (p *process) clients(n int) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		res, err := http.Get(p.base + "/stats")
		require.NoError(p.t, err)
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		require.NoError(p.t, err)
		return strings.Contains(string(text), fmt.Sprintf(`"clients": %d`, n))
	}, patience, 10*time.Millisecond)
}

// TestDrainOfAProcess drains a hub of two thousand streams by a signal, and by the API with a signal after it, while events
// are pushed. Each stream is told to come back, at a time of its own within the window; the process ends well; and what was
// acknowledged is lost to nobody: a stream has a beginning of it, and the rest when it comes back to the next process.
func TestDrainOfAProcess(t *testing.T) {
	for name, begin := range map[string]func(*process){
		"SIGTERM": func(p *process) { p.signal() },
		"POST /drain": func(p *process) {
			require.Equal(t, 202, status(t, "POST", p.base+"/drain"))
			require.Equal(t, 503, status(t, "GET", p.base+"/readyz"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			const streams = 2000
			data := t.TempDir() + "/data"
			p := startProcess(t, "--data", data, "--no-sync", "--drain-spread", "2s", "--retry-window", "1s..9s")
			told := make([]heard, streams)
			var reading sync.WaitGroup
			for i := range streams {
				c := p.dial("")
				reading.Go(func() { told[i] = hear(c, "") })
			}
			p.clients(streams)

			var acked []string
			var enough atomic.Bool
			pushed := make(chan struct{})
			first := make(chan struct{})
			go func() {
				defer close(pushed)
				for !enough.Load() {
					id, err := p.push("x")
					if err != nil { // the hub is closing: nobody was told that it was published
						return
					}
					if acked = append(acked, id); len(acked) == 1 {
						close(first)
					}
					time.Sleep(5 * time.Millisecond) // what is measured is the drain, not the fan-out
				}
			}()
			<-first
			begin(p)
			reading.Wait()
			enough.Store(true)
			<-pushed
			if name != "SIGTERM" {
				p.signal()
			}
			require.Equal(t, 0, p.exit(), p.errs)
			require.Contains(t, p.errs.String(), fmt.Sprintf("drained, %d streams", streams))

			retries := map[int]bool{}
			for i, h := range told {
				require.NoError(t, h.err)
				require.Contains(t, []string{`{"reason":"closed"}`, `{"reason":"reconnect"}`}, h.reason, "stream %d", i)
				require.GreaterOrEqual(t, h.retry, 1000)
				require.LessOrEqual(t, h.retry, 9001)
				retries[h.retry] = true
				require.NotEmpty(t, h.ids)
				require.LessOrEqual(t, len(h.ids), len(acked)+1, "one may have been published and not acknowledged")
				require.Equal(t, acked[:min(len(acked), len(h.ids))], h.ids[:min(len(acked), len(h.ids))], "stream %d", i)
			}
			require.Greater(t, len(retries), streams/2, "they do not come back together")

			next := startProcess(t, "--data", data, "--no-sync", "--drain-spread", "0")
			end, err := next.push("the end")
			require.NoError(t, err)
			for i := 0; i < streams; i += 40 {
				got := hear(next.dial(told[i].ids[len(told[i].ids)-1]), end)
				require.NoError(t, got.err)
				all := append(told[i].ids, got.ids...)
				require.Equal(t, acked, all[:len(acked)], "stream %d", i)
			}
			next.signal()
			require.Equal(t, 0, next.exit(), next.errs)
		})
	}
}

// TestUnreadyBeforeTheRest: in the time before a drain load balancers turn away, and all else is as before. A second signal
// ends it at once, with an exit code that says so, and takes nothing of what was acknowledged.
func TestUnreadyBeforeTheRest(t *testing.T) {
	data := t.TempDir() + "/data"
	p := startProcess(t, "--data", data, "--drain-delay", "1h")
	before := p.dial("")
	p.clients(1)
	require.Equal(t, 200, status(t, "GET", p.base+"/readyz"))
	p.signal()
	require.Eventually(t, func() bool { return status(t, "GET", p.base+"/readyz") == 503 }, patience, time.Millisecond)
	require.Equal(t, 202, status(t, "POST", p.base+"/drain"), "one drain is enough")
	require.Equal(t, 200, status(t, "GET", p.base+"/healthz"))
	after := p.dial("")
	p.clients(2)
	id, err := p.push("x")
	require.NoError(t, err)
	for _, c := range []net.Conn{before, after} {
		require.Equal(t, []string{id}, hear(c, id).ids)
	}
	p.signal()
	require.Equal(t, 1, p.exit(), p.errs)
	require.Contains(t, p.errs.String(), "second signal")
	next := startProcess(t, "--data", data, "--drain-spread", "0")
	require.Equal(t, []string{id}, hear(next.dial("earliest"), id).ids)
	next.signal()
	require.Equal(t, 0, next.exit(), next.errs)
}

// TestDrainWithAPeerThatReadsNothing ends within the time that was given, with the others told, and says that somebody was not.
func TestDrainWithAPeerThatReadsNothing(t *testing.T) {
	data := t.TempDir() + "/data"
	p := startProcess(t, "--data", data, "--no-sync", "--drain-spread", "0", "--drain", "1s", "--stall-timeout", "0")
	deaf, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.addr())
	require.NoError(t, err)
	defer deaf.Close()
	require.NoError(t, deaf.(*net.TCPConn).SetReadBuffer(4096))
	_, err = io.WriteString(deaf, "GET /events HTTP/1.0\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	told := make(chan heard, 1)
	c := p.dial("")
	go func() { told <- hear(c, "") }()
	p.clients(2)
	last := ""
	for range 12 { // MiB, more than the kernel takes for a peer
		last, err = p.push(strings.Repeat("x", 1<<20-1))
		require.NoError(t, err)
	}
	p.signal()
	require.Equal(t, 0, p.exit(), p.errs)
	h := <-told
	require.NoError(t, h.err)
	require.Equal(t, last, h.ids[len(h.ids)-1])
	require.Len(t, h.ids, 12)
	require.NotEmpty(t, h.reason)
}
