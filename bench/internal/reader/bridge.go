//go:build linux

package reader

import (
	"bufio"
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A stream over TLS, or one that is compressed, is undone by goroutines of its own: the loop reads the plain stream out of
// a socket pair, as if it came from a server, and checks it like any other.

// bridged reports whether streams take this way.
func (c *Connect) bridged() bool { return c.TLS || c.Gzip }

// bridgeTimeout bounds connecting, with the handshake and the response head.
const bridgeTimeout = 30 * time.Second

// bridge makes stream n's socket pair and the connection behind it, and returns the loop's end.
func (l *loop) bridge(n int) (fd int, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	far := os.NewFile(uintptr(fds[1]), "bridge")
	near, err := net.FileConn(far)
	_ = far.Close()
	if err != nil {
		unix.Close(fds[0])
		return -1, err
	}
	addr := fmt.Sprintf("127.0.0.%d:%d", 1+n/perAddress%200, l.connect.Port)
	go func() {
		defer near.Close()
		if err := undo(near, addr, l.connect.TLS, l.connect.Gzip, &l.wire); err != nil {
			// The loop sees a stream that ends; this is for who looks why.
			fmt.Fprintf(os.Stderr, "stream %d: %v\n", n, err)
		}
	}()
	return fds[0], nil
}

// undo carries the request from near to the server, and the stream back as it was before compression and TLS, until one
// of them ends it. The bytes that come over the network are added to wire.
func undo(near net.Conn, addr string, secured, coded bool, wire *atomic.Int64) error {
	tcp, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer tcp.Close()
	_ = tcp.SetDeadline(time.Now().Add(bridgeTimeout))
	conn := net.Conn(&counted{tcp, wire})
	if secured {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // the certificate was made for this run
	}
	request, err := http.ReadRequest(bufio.NewReader(near))
	if err != nil {
		return nil // the stream has been closed before it began
	}
	if err := request.Write(conn); err != nil {
		return err
	}
	from := bufio.NewReader(conn)
	response, err := http.ReadResponse(from, request)
	if err != nil {
		return err
	}
	_ = tcp.SetDeadline(time.Time{})
	go func() { // whoever closes near ends the stream
		_, _ = io.Copy(io.Discard, near)
		_ = tcp.Close()
	}()
	got := response.Header.Get("Content-Encoding")
	if coded && got != "gzip" {
		return fmt.Errorf("gzip was asked for, and came as %q", got)
	}
	if _, err := fmt.Fprintf(near, "HTTP/1.1 %d %s\r\n\r\n", response.StatusCode, http.StatusText(response.StatusCode)); err != nil {
		return nil
	}
	body := io.Reader(response.Body)
	if coded {
		if body, err = gzip.NewReader(body); err != nil {
			return nil // closed before the first byte
		}
	}
	_, _ = io.CopyBuffer(near, body, make([]byte, 16<<10)) // either end's close ends it; what is missing is counted
	return nil
}

// counted counts what is read.
type counted struct {
	net.Conn
	n *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n.Add(int64(n))
	return n, err
}
