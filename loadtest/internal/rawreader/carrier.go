//go:build linux

package rawreader

import (
	"crypto/tls"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// secure is the TLS of a stream: crypto/tls over a socket that, once the loop has it,
// never waits.
type secure struct {
	*tls.Conn
	under *carrier
}

// carrier carries the records of a tls.Conn: over package net for the handshake and
// the request, from take on over the bare socket. It is for one goroutine at a time.
type carrier struct {
	conn net.Conn // nil once taken
	fd   int
	dry  bool // the last read took all that there was
}

// errDry says that there is no input yet. It is temporary to crypto/tls: the next Read
// goes on where this one stopped.
type errDry struct{}

func (errDry) Error() string   { return "no input yet" }
func (errDry) Timeout() bool   { return true }
func (errDry) Temporary() bool { return true }

var _ net.Error = errDry{}

// take takes the socket from package net.
func (c *carrier) take() error {
	raw, err := c.conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return err
	}
	fd := -1
	err = raw.Control(func(p uintptr) {
		var e error
		if fd, e = unix.FcntlInt(p, unix.F_DUPFD_CLOEXEC, 0); e != nil {
			fd = -1
		}
	})
	if err != nil {
		return err
	}
	if fd < 0 {
		return unix.EMFILE
	}
	_ = c.conn.Close() // the socket stays: fd is another name of it
	c.conn, c.fd = nil, fd
	return nil
}

// Read implements net.Conn.
func (c *carrier) Read(p []byte) (int, error) {
	if c.conn != nil {
		return c.conn.Read(p)
	}
	if c.dry {
		return 0, errDry{}
	}
	n, err := readNow(c.fd, p)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		c.dry = true
		return 0, errDry{}
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	c.dry = n < len(p)
	return n, nil
}

// Write implements net.Conn. After take there is little to write, an answer to a key
// update or the end: a socket that does not take it at once is of no more use.
func (c *carrier) Write(p []byte) (int, error) {
	if c.conn != nil {
		return c.conn.Write(p)
	}
	n, err := unix.Write(c.fd, p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return max(n, 0), err
}

// Close implements net.Conn; after take the loop closes the socket.
func (c *carrier) Close() error {
	if c.conn != nil {
		return c.conn.Close()
	}
	return nil
}

// SetDeadline implements net.Conn; after take nothing waits.
func (c *carrier) SetDeadline(t time.Time) error {
	if c.conn != nil {
		return c.conn.SetDeadline(t)
	}
	return nil
}

// SetReadDeadline implements net.Conn.
func (c *carrier) SetReadDeadline(t time.Time) error { return c.SetDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (c *carrier) SetWriteDeadline(t time.Time) error { return c.SetDeadline(t) }

// LocalAddr implements net.Conn; nobody asks.
func (c *carrier) LocalAddr() net.Addr { return nil }

// RemoteAddr implements net.Conn; nobody asks.
func (c *carrier) RemoteAddr() net.Addr { return nil }
