package rawtls

import (
	"crypto/tls"
	"errors"
	"io"
	"time"

	"github.com/spatehub/spate/serve/stream/internal/rawsock"
)

// Stream is a TLS connection without a goroutine. Write and Close belong to one
// goroutine at a time, the owner; Watch, once, and the poller run beside it.
type Stream struct {
	tls   *tls.Conn
	under *Conn
	slot  *rawsock.Conn // under's socket; never nil, for Watch
	to    rawsock.Waker

	// held says that the last byte that was encrypted has not been reported as
	// taken: that follows when its record is the kernel's. So what Write reports
	// is never less than what was encrypted by more than this byte, and never
	// more than what a Close delivers.
	held bool
}

// corkFrom is the size from which a write may need several records, which then
// go out as one.
const corkFrom = 1024

// maxWrite bounds what is encrypted before the socket has taken it.
const maxWrite = 16 << 10

// Take takes over a connection that was accepted by a [Listener] and is nobody
// else's any more. It fails with [errors.ErrUnsupported] where it is none; then
// the connection is as it was. silence is that of [rawsock.Take].
func Take(c *tls.Conn, silence time.Duration) (*Stream, error) {
	under, ok := c.NetConn().(*Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	if err := under.take(silence); err != nil {
		return nil, err
	}
	return &Stream{tls: c, under: under, slot: under.sock}, nil
}

// Watch names the one who is told what happens to the connection, including what
// happened since [Take]. It is called once.
func (s *Stream) Watch(w rawsock.Waker) {
	s.to = w
	s.slot.Watch(s)
	s.Readable() // the request's last record may have been read together with more
}

// Write encrypts and sends as much of p as the socket takes, in records, and
// returns that number; it never blocks and does not keep p. Fewer bytes than
// len(p) without an error mean that Writable follows when there is room; the
// bytes after those taken must come next.
func (s *Stream) Write(p []byte) (n int, err error) {
	if s.held || s.under.owes() {
		if through, err := s.under.flush(); !through {
			return 0, err
		}
		if s.held && len(p) > 0 {
			s.held, n = false, 1
		}
	}
	for n < len(p) {
		part := p[n:min(n+maxWrite, len(p))]
		if len(part) >= corkFrom {
			s.under.cork()
		}
		if _, err := s.tls.Write(part); err != nil {
			return n, err
		}
		n += len(part)
		through, err := s.under.flush()
		if err != nil {
			return n - 1, err
		}
		if !through {
			s.held = true
			return n - 1, nil
		}
	}
	return n, nil
}

// Close ends the connection, in order unless reset is set; see
// [rawsock.Conn.Close].
func (s *Stream) Close(reset bool) {
	if !reset {
		_ = s.tls.CloseWrite() // close_notify; fails where the peer has gone
	}
	s.under.close(reset)
}

// Readable implements [rawsock.Reader]: it has crypto/tls deal with what came.
// What the peer says is dropped.
func (s *Stream) Readable() {
	var scratch [512]byte
	for {
		_, err := s.tls.Read(scratch[:])
		switch {
		case errors.Is(err, noInput{}):
			return
		case errors.Is(err, io.EOF):
			s.to.Hangup(io.EOF)
			return
		case err != nil:
			s.to.Hangup(rawsock.ErrReset)
			return
		}
	}
}

// Writable implements [rawsock.Waker].
func (s *Stream) Writable() { s.to.Writable() }

// Hangup implements [rawsock.Waker].
func (s *Stream) Hangup(err error) { s.to.Hangup(err) }
