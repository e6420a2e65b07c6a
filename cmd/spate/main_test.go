package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// patience is how long a condition may take on a busy machine before a test fails.
const patience = time.Minute

// asProgram in the environment makes the test's program spate itself, so that a test has a hub to kill without building one.
const asProgram = "SPATETEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	goleak.VerifyTestMain(m,
		goleak.IgnoreCurrent(), // the default pool of ants, which nobody uses
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), // idle connections of http.DefaultClient
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
	)
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

// environment makes a streams.env of name, value pairs.
func environment(pairs ...string) func(string) (string, bool) {
	m := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(name string) (string, bool) {
		v, ok := m[name]
		return v, ok
	}
}

// result is what a finished command left.
type result struct {
	code     int
	out, err string
}

// runToEnd runs a command line that ends by itself.
func runToEnd(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var out, errs safeBuffer
	code := run(args, streams{in: strings.NewReader(stdin), out: &out, err: &errs, env: environment(), signals: nil})
	return result{code, out.String(), errs.String()}
}

// serving is a `spate serve` within the test's process.
type serving struct {
	t       *testing.T
	base    string // http://127.0.0.1:port
	signals chan os.Signal
	hangups chan os.Signal
	err     *safeBuffer
	done    chan int
	code    *int
}

// startServe runs `spate serve` on a free port until the test's end.
func startServe(t *testing.T, args ...string) *serving {
	t.Helper()
	s := &serving{t: t, signals: make(chan os.Signal, 2), hangups: make(chan os.Signal), err: &safeBuffer{}, done: make(chan int, 1)}
	outRead, outWrite := io.Pipe()
	go func() {
		code := run(append([]string{"serve"}, args...),
			streams{in: strings.NewReader(""), out: outWrite, err: s.err, env: environment("SPATE_LISTEN", "127.0.0.1:0"), signals: s.signals, hangups: s.hangups})
		_ = outWrite.Close()
		s.done <- code
	}()
	s.base = readBase(outRead)
	go func() { _, _ = io.Copy(io.Discard, outRead) }()
	t.Cleanup(func() {
		if s.code == nil {
			require.Equal(t, exitOK, s.stop(), s.err.String())
		}
	})
	require.NotEmpty(t, s.base, "the hub did not start: %s", s.err)
	return s
}

// readBase reads what `spate serve` prints up to the dashboard's address; "" if it ends before.
func readBase(out io.Reader) string {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, url, ok := strings.Cut(lines.Text(), "dashboard"); ok {
			return strings.TrimSuffix(strings.TrimSpace(url), "/")
		}
	}
	return ""
}

// stop sends SIGTERM and returns the exit code.
func (s *serving) stop() int {
	s.t.Helper()
	s.signals <- syscall.SIGTERM
	return s.wait()
}

func (s *serving) wait() int {
	s.t.Helper()
	select {
	case code := <-s.done:
		s.code = &code
		return code
	case <-time.After(patience):
		require.FailNow(s.t, "the hub did not end", s.err.String())
		return -1
	}
}

// get fetches a path and returns status and body.
func (s *serving) get(path string, header ...string) (int, string) {
	s.t.Helper()
	return s.do(http.MethodGet, path, "", header...)
}

// do makes a request; header is name, value pairs, of which Host is the request's host.
func (s *serving) do(method, path, body string, header ...string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.base+path, strings.NewReader(body))
	require.NoError(s.t, err)
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(s.t, err)
	return res.StatusCode, string(text)
}

func TestHelpAndUsage(t *testing.T) {
	r := runToEnd(t, "", "help")
	require.Equal(t, exitOK, r.code)
	for _, c := range commands() {
		require.Contains(t, r.out, "spate "+c.name)
		help := runToEnd(t, "", c.name, "--help")
		require.Equal(t, exitOK, help.code)
		require.Contains(t, help.out, "Usage: spate "+c.name)
		require.Empty(t, help.err)
	}
	require.Equal(t, exitUsage, runToEnd(t, "").code)
	r = runToEnd(t, "", "dance")
	require.Equal(t, exitUsage, r.code)
	require.Contains(t, r.err, `no command "dance"`)
	r = runToEnd(t, "", "tail", "--no-such-flag")
	require.Equal(t, exitUsage, r.code)
	require.Contains(t, r.err, "no-such-flag")
	require.Contains(t, runToEnd(t, "", "version").out, "spate ")
	require.Equal(t, exitUsage, runToEnd(t, "", "version", "more").code)
}
