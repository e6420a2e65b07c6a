//go:build linux

package rawsock_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spatehub/spate/serve/stream/internal/rawsock"
)

const patience = 20 * time.Second

// recorder is a Waker that remembers.
type recorder struct {
	writable chan struct{} // one word waits at most
	hangup   chan error
}

func newRecorder() *recorder {
	return &recorder{writable: make(chan struct{}, 1), hangup: make(chan error, 16)}
}

func (r *recorder) Writable() {
	select {
	case r.writable <- struct{}{}:
	default:
	}
}

func (r *recorder) Hangup(err error) {
	select {
	case r.hangup <- err:
	default:
	}
}

func (r *recorder) waitHangup(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.hangup:
		return err
	case <-time.After(patience):
		require.Fail(t, "no word of the hang-up")
		return nil
	}
}

// network is a listener whose connections are taken over.
type network struct {
	t testing.TB
	l net.Listener
}

func listen(t testing.TB, kind string) *network {
	t.Helper()
	addr := "127.0.0.1:0"
	if kind == "unix" {
		addr = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(kind, addr)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return &network{t: t, l: l}
}

// pair returns a taken server side and the client side of a new connection.
func (n *network) pair() (*rawsock.Conn, net.Conn) {
	n.t.Helper()
	client, err := net.Dial(n.l.Addr().Network(), n.l.Addr().String())
	require.NoError(n.t, err)
	server, err := n.l.Accept()
	require.NoError(n.t, err)
	conn, err := rawsock.Take(server, time.Minute)
	require.NoError(n.t, err)
	require.NoError(n.t, server.Close(), "which must not end the connection")
	// Small buffers are full sooner.
	require.NoError(n.t, unix.SetsockoptInt(conn.Descriptor(), unix.SOL_SOCKET, unix.SO_SNDBUF, 32<<10))
	return conn, client
}

func eachNetwork(t *testing.T, body func(t *testing.T, n *network)) {
	for _, kind := range []string{"tcp", "unix"} {
		t.Run(kind, func(t *testing.T) { body(t, listen(t, kind)) })
	}
}

// fill writes until the socket takes no more and returns what it took.
func fill(t testing.TB, c *rawsock.Conn, chunk []byte) (sent []byte) {
	t.Helper()
	for {
		n, err := c.Write(chunk)
		require.NoError(t, err)
		sent = append(sent, chunk[:n]...)
		if n < len(chunk) {
			return sent
		}
	}
}

func TestEverythingSentArrivesInOrder(t *testing.T) {
	eachNetwork(t, func(t *testing.T, n *network) {
		conn, client := n.pair()
		defer client.Close()
		w := newRecorder()
		conn.Watch(w)

		const total = 2 << 20
		got := make(chan []byte)
		go func() {
			all, _ := io.ReadAll(client)
			got <- all
		}()
		var sent bytes.Buffer
		for seq := 0; sent.Len() < total; seq++ {
			frame := fmt.Appendf(nil, "data: %d %s\n\n", seq, bytes.Repeat([]byte{'a' + byte(seq%26)}, 2000))
			sent.Write(frame)
			for len(frame) > 0 {
				m, err := conn.Write(frame)
				require.NoError(t, err)
				frame = frame[m:]
				if len(frame) > 0 {
					select {
					case <-w.writable:
					case <-time.After(patience):
						require.Fail(t, "full, and no word of room")
					}
				}
			}
		}
		conn.Close(false)
		require.True(t, bytes.Equal(sent.Bytes(), <-got))
	})
}

// The promise of Write: after a short count, Writable follows when the peer
// reads, each time anew.
func TestRoomIsToldAfterEachShortWrite(t *testing.T) {
	eachNetwork(t, func(t *testing.T, n *network) {
		conn, client := n.pair()
		defer client.Close()
		w := newRecorder()
		conn.Watch(w)
		for range 5 {
			sent := fill(t, conn, bytes.Repeat([]byte("z"), 64<<10))
			_, err := io.ReadFull(client, make([]byte, len(sent)))
			require.NoError(t, err)
			select {
			case <-w.writable:
			case <-time.After(patience):
				require.Fail(t, "no word of room")
			}
		}
		conn.Close(false)
	})
}

func TestHangupIsTold(t *testing.T) {
	eachNetwork(t, func(t *testing.T, n *network) {
		t.Run("FIN", func(t *testing.T) {
			conn, client := n.pair()
			w := newRecorder()
			conn.Watch(w)
			client.Close()
			require.Error(t, w.waitHangup(t))
			conn.Close(false)
		})
		t.Run("half close", func(t *testing.T) {
			conn, client := n.pair()
			defer client.Close()
			w := newRecorder()
			conn.Watch(w)
			require.NoError(t, client.(interface{ CloseWrite() error }).CloseWrite())
			require.ErrorIs(t, w.waitHangup(t), io.EOF)
			conn.Close(false)
		})
		t.Run("before Watch", func(t *testing.T) {
			conn, client := n.pair()
			client.Close()
			w := newRecorder()
			conn.Watch(w) // sooner or later than the event: told either way
			require.Error(t, w.waitHangup(t))
			conn.Close(false)
		})
	})
}

func TestResetIsTold(t *testing.T) {
	n := listen(t, "tcp")
	conn, client := n.pair()
	w := newRecorder()
	conn.Watch(w)
	require.NoError(t, client.(*net.TCPConn).SetLinger(0))
	client.Close()
	require.ErrorIs(t, w.waitHangup(t), rawsock.ErrReset)
	_, err := conn.Write([]byte("late"))
	require.Error(t, err, "EPIPE or ECONNRESET, and no SIGPIPE")
	conn.Close(true)
}

// Input that nobody reads must not turn the orderly end into a reset, which
// could overtake the last bytes.
func TestUnreadInputDoesNotCutTheEnd(t *testing.T) {
	eachNetwork(t, func(t *testing.T, n *network) {
		conn, client := n.pair()
		defer client.Close()
		_, err := client.Write(bytes.Repeat([]byte("noise"), 400))
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			queued, err := unix.IoctlGetInt(conn.Descriptor(), unix.TIOCINQ)
			return err == nil && queued == 2000
		}, patience, time.Millisecond)
		last := bytes.Repeat([]byte("end"), 30_000)
		sent, err := conn.Write(last)
		require.NoError(t, err)
		conn.Close(false)
		got, err := io.ReadAll(client)
		require.NoError(t, err)
		require.Equal(t, sent, len(got))
	})
}

func TestCloseWithResetFreesAtOnce(t *testing.T) {
	n := listen(t, "tcp")
	conn, client := n.pair()
	defer client.Close()
	fill(t, conn, make([]byte, 64<<10))
	conn.Close(true)
	_, err := io.Copy(io.Discard, client)
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

// A peer that acknowledges nothing is taken for gone after the time given.
func TestSilenceIsBounded(t *testing.T) {
	n := listen(t, "tcp")
	conn, client := n.pair()
	defer client.Close()
	ms, err := unix.GetsockoptInt(conn.Descriptor(), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
	require.NoError(t, err)
	require.Equal(t, 60_000, ms)
	conn.Close(false)
}

// A connection that wraps another may do more than pass bytes on: it is left
// alone, and usable.
func TestWrappedConnectionIsRefused(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	type wrapped struct{ net.Conn }
	for _, c := range []net.Conn{a, wrapped{a}} {
		_, err := rawsock.Take(c, 0)
		require.ErrorIs(t, err, errors.ErrUnsupported)
	}
	n := listen(t, "tcp")
	client, err := net.Dial("tcp", n.l.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	server, err := n.l.Accept()
	require.NoError(t, err)
	server.Close()
	_, err = rawsock.Take(server, time.Minute)
	require.Error(t, err)
}

// What a connection costs here: the design counts on a few dozen bytes.
func TestSizes(t *testing.T) {
	require.LessOrEqual(t, rawsock.ConnSize, uintptr(32))
	require.LessOrEqual(t, rawsock.SlotSize, uintptr(24))
}

func TestWriteAllocatesNothing(t *testing.T) {
	n := listen(t, "tcp")
	conn, client := n.pair()
	defer client.Close()
	frame := []byte("data: x\n\n")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if _, err := conn.Write(frame); err != nil {
			t.Error(err)
		}
	}))
	fill(t, conn, make([]byte, 64<<10))
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if _, err := conn.Write(frame); err != nil {
			t.Error(err)
		}
	}), "a full socket")
	conn.Close(true)
	_, err := conn.Write(frame)
	require.ErrorIs(t, err, unix.EBADF, "a closed Conn names no descriptor")
}
