package stream_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

func tlsMode(t *testing.T) mode {
	for _, m := range modes {
		if m.name == "raw-tls" {
			return m
		}
	}
	t.Fatal("no such mode")
	return mode{}
}

// dialTLS opens a stream by hand and returns its connection, with the head read.
func dialTLS(t *testing.T, s *site, receive int) (*tls.Conn, *bufio.Reader) {
	t.Helper()
	return dialTLSAs(t, s, s.trust(), receive)
}

// dialTLSAs is dialTLS with a client's configuration.
func dialTLSAs(t *testing.T, s *site, config *tls.Config, receive int) (*tls.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", s.server.Listener.Addr().String())
	require.NoError(t, err)
	if receive > 0 {
		require.NoError(t, c.(*net.TCPConn).SetReadBuffer(receive))
	}
	secured := tls.Client(c, config)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, secured.SetDeadline(time.Now().Add(patience)))
	_, err = fmt.Fprintf(secured, "GET /events?uid=u HTTP/1.0\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	in := bufio.NewReader(secured)
	for {
		line, err := in.ReadString('\n')
		require.NoError(t, err)
		if line == "\r\n" {
			return secured, in
		}
	}
}

// trust is a client's configuration for the site.
func (s *site) trust() *tls.Config {
	config := s.client.Transport.(*http.Transport).TLSClientConfig.Clone()
	config.ServerName = "example.com"
	config.NextProtos = nil
	return config
}

// A client that comes back resumes its TLS 1.3 session: its handshake needs no
// signature.
func TestTLSSessionsAreResumed(t *testing.T) {
	s := newSite(t, tlsMode(t), setup{})
	config := s.trust()
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for i := range 3 {
		secured, _ := dialTLSAs(t, s, config, 0) // the ticket comes before the head
		state := secured.ConnectionState()
		require.EqualValues(t, tls.VersionTLS13, state.Version)
		require.Equal(t, i > 0, state.DidResume, "connection %d", i)
		s.online(i + 1)
	}
}

// Invariants 2, 3 and 7 over TLS without a goroutine: a reader that begins late,
// over a small window, gets every event whole, once, in order, and a close_notify.
func TestTLSPartialWrites(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if env, err := strconv.ParseUint(os.Getenv("SPATETEST_SEED"), 10, 64); err == nil {
		seed = env
	}
	t.Logf("replay with SPATETEST_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	s := newSite(t, tlsMode(t), setup{
		hub:     []engine.HubOption{engine.WithChanBufferSize(8192), engine.WithQueueBytes(64 << 20)},
		control: func(c net.Conn) { _ = c.(*net.TCPConn).SetWriteBuffer(8 << 10) },
	})
	_, in := dialTLS(t, s, 16<<10)
	s.online(1)
	const events = 400
	want := make([]string, events)
	for i := range want {
		size := random.IntN(300)
		if random.IntN(20) == 0 {
			size = random.IntN(40_000)
		}
		want[i] = fmt.Sprintf("%d %s", i, strings.Repeat(string(rune('a'+i%26)), size))
	}
	done := make(chan error, 1)
	go func() {
		for i, data := range want {
			if err := s.hub.Push(nil, &wire.Event{Data: data}); err != nil {
				done <- fmt.Errorf("event %d: %w", i, err)
				return
			}
		}
		done <- nil
	}()
	// From here on the socket is full in the midst of what is sent.
	require.Eventually(t, func() bool { return s.hub.Stats().Pending > 0 }, patience, time.Millisecond)
	events2 := wire.NewDecoder(in)
	for i := range want {
		e, err := events2.Next()
		require.NoError(t, err)
		require.Equal(t, want[i], e.Data, "event %d", i)
	}
	require.NoError(t, <-done)
	go s.hub.Close()
	e, err := events2.Next()
	require.NoError(t, err)
	require.Equal(t, "disconnect", e.Event)
	_, err = events2.Next()
	require.ErrorIs(t, err, io.EOF, "a close_notify, not an end in the midst")
}

// Invariant 5: who floods the hub with input over TLS is hung up on.
func TestTLSFlood(t *testing.T) {
	s := newSite(t, tlsMode(t), setup{})
	c, _ := dialTLS(t, s, 0)
	s.online(1)
	chunk := bytes.Repeat([]byte("x"), 16<<10)
	for {
		if _, err := c.Write(chunk); err != nil {
			break // at the deadline too: then the next line fails
		}
	}
	s.online(0)
}

// A peer's close_notify, and its mere end, are a hang-up.
func TestTLSHangup(t *testing.T) {
	for name, end := range map[string]func(*tls.Conn) error{
		"close_notify": (*tls.Conn).CloseWrite,
		"FIN":          func(c *tls.Conn) error { return c.NetConn().(*net.TCPConn).CloseWrite() },
		"reset": func(c *tls.Conn) error {
			_ = c.NetConn().(*net.TCPConn).SetLinger(0)
			return c.NetConn().Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, tlsMode(t), setup{})
			c, _ := dialTLS(t, s, 0)
			s.online(1)
			require.NoError(t, end(c))
			s.online(0)
		})
	}
}

// A key update that asks for one is answered, and what follows is understood: by
// openssl, since Go's client has no way to ask.
func TestTLSKeyUpdate(t *testing.T) {
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl here")
	}
	s := newSite(t, tlsMode(t), setup{})
	cmd := exec.Command(path, "s_client", "-connect", s.server.Listener.Addr().String(), "-tls1_3")
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = cmd.Stdout // where it says what it does
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	until := func(part string) {
		t.Helper()
		timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
		for lines.Scan() {
			if strings.Contains(lines.Text(), part) {
				return
			}
		}
		t.Fatalf("%q has not come", part)
	}
	_, err = io.WriteString(stdin, "GET /events?uid=u HTTP/1.0\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	s.online(1)
	for i := range 3 {
		s.push("", fmt.Sprintf("before %d", i))
		until(fmt.Sprintf("before %d", i))
		_, err = io.WriteString(stdin, "K\n") // a key update that requests one
		require.NoError(t, err)
		until("KEYUPDATE")
	}
	s.push("", "after")
	until("after")
}
