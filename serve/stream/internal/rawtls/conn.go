// Package rawtls streams over TLS without a goroutine. A [Listener] puts a [Conn]
// of ours under each tls.Conn. Until the request has been read it is a net.Conn
// like any other; from Take on neither reading nor writing through it blocks, so
// that a shard can write through the tls.Conn itself, and the poller have it read
// when there is input: close_notify, alerts, key updates. No cryptography is done
// here.
package rawtls

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/valyala/bytebufferpool"

	"github.com/spatehub/spate/serve/stream/internal/rawsock"
)

// Conn carries the records of one tls.Conn.
type Conn struct {
	net.Conn // until Take; then a stand-in, closed

	// mu keeps the shard, which writes and closes, and the poller's goroutine,
	// whose reading may answer, from using the socket beside each other. It is
	// never held over anything that blocks.
	mu   sync.Mutex
	sock *rawsock.Conn // nil before Take, and once closed

	owed   *bytebufferpool.ByteBuffer // records that the socket did not take, or that are held together; nil: none
	corked bool                       // records are to be sent together
	input  int                        // bytes read since Take
}

// maxInput bounds what a peer may send after its request, in all. A subscriber
// has nothing to say; records of the protocol are short and few.
const maxInput = 256 << 10

var (
	errFlood = errors.New("rawtls: the peer sends more than a subscriber has to say")
	buffers  bytebufferpool.Pool
)

// noInput says that there is no input yet. It is temporary to crypto/tls: the next
// Read goes on where this one stopped.
type noInput struct{}

func (noInput) Error() string   { return "rawtls: no input yet" }
func (noInput) Timeout() bool   { return true }
func (noInput) Temporary() bool { return true }

var _ net.Error = noInput{}

// Read implements [net.Conn].
func (c *Conn) Read(p []byte) (int, error) {
	if !c.taken() {
		return c.Conn.Read(p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sock == nil {
		return 0, net.ErrClosed
	}
	n, ok, err := c.sock.Read(p)
	if err == nil && !ok {
		err = noInput{}
	}
	if c.input += n; c.input > maxInput {
		err = errFlood
	}
	return n, err
}

// Write implements [net.Conn]. After Take it takes everything: what the socket
// does not take at once is owed, and goes first.
func (c *Conn) Write(p []byte) (int, error) {
	if !c.taken() {
		return c.Conn.Write(p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sock == nil {
		return 0, net.ErrClosed
	}
	n := 0
	if c.owed == nil && !c.corked {
		var err error
		if n, err = c.sock.Write(p); err != nil || n == len(p) {
			return n, err
		}
	}
	if c.owed == nil {
		c.owed = buffers.Get()
	}
	c.owed.B = append(c.owed.B, p[n:]...)
	return len(p), nil
}

// flush sends what is owed and returns whether all of it is gone.
func (c *Conn) flush() (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.corked = false
	if c.owed == nil {
		return true, nil
	}
	n, err := c.sock.Write(c.owed.B)
	if err != nil {
		return false, err
	}
	if n < len(c.owed.B) {
		c.owed.B = append(c.owed.B[:0], c.owed.B[n:]...)
		return false, nil
	}
	buffers.Put(c.owed)
	c.owed = nil
	return true, nil
}

// cork holds the records to come together, until flush.
func (c *Conn) cork() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.corked = true
}

// owes says whether something waits for the socket.
func (c *Conn) owes() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.owed != nil
}

// taken says whether the socket was taken. It is once, by who alone has the
// tls.Conn then.
func (c *Conn) taken() bool { _, is := c.Conn.(gone); return is }

// take takes the socket from package net.
func (c *Conn) take(silence time.Duration) error {
	sock, err := rawsock.TakeReading(c.Conn, silence)
	if err != nil {
		return err
	}
	c.Conn.Close()
	c.sock, c.Conn = sock, gone{}
	return nil
}

// close lets go of the socket; see [rawsock.Conn.Close].
func (c *Conn) close(reset bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sock.Close(reset)
	c.sock = nil
	if c.owed != nil {
		buffers.Put(c.owed)
		c.owed = nil
	}
}

// Close implements [net.Conn]. After Take the sink closes, not the tls.Conn.
func (c *Conn) Close() error { return c.Conn.Close() }

// LocalAddr implements [net.Conn]; its kind tells [Under] of whom a request came by.
func (c *Conn) LocalAddr() net.Addr { return address{c.Conn.LocalAddr()} }

type address struct{ net.Addr }

// Under says whether the connection that has this local address is one of a
// [Listener].
func Under(local any) bool {
	_, is := local.(address)
	return is
}

// gone stands in for what package net had: its deadlines mean nothing any more.
type gone struct{}

func (gone) Read([]byte) (int, error)         { return 0, io.EOF }
func (gone) Write([]byte) (int, error)        { return 0, net.ErrClosed }
func (gone) Close() error                     { return nil }
func (gone) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (gone) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (gone) SetDeadline(time.Time) error      { return nil }
func (gone) SetReadDeadline(time.Time) error  { return nil }
func (gone) SetWriteDeadline(time.Time) error { return nil }

// Listener accepts connections whose TLS [Take] can take over. Others than those
// of TCP and of Unix sockets are served as crypto/tls does.
func Listener(inner net.Listener, config *tls.Config) net.Listener {
	return tls.NewListener(Carry(inner), config)
}

// Carry returns a listener whose connections are the ones to put under a tls.Conn.
func Carry(inner net.Listener) net.Listener { return listener{inner} }

type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	switch c.(type) {
	case *net.TCPConn, *net.UnixConn:
		if rawsock.Supported() {
			return &Conn{Conn: c}, nil
		}
	}
	return c, nil
}
