package stream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/valyala/bytebufferpool"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream/internal/rawsock"
)

// rawSink is a taken-over socket as the hub sees it. One pointer: as an
// interface it needs no memory of its own.
type rawSink struct{ *rawsock.Conn }

// Close implements [engine.Sink].
func (s rawSink) Close(reason error) { s.Conn.Close(hopeless(reason)) }

// hopeless reports whether what was sent last should be thrown away: the peer
// takes no bytes, and an orderly end would keep them in the kernel for minutes.
func hopeless(reason error) bool {
	return errors.Is(reason, engine.ErrStalled) || errors.Is(reason, rawsock.ErrReset)
}

// takesOver reports whether to hijack the connection. Over TLS the bytes need
// the net.Conn, and over HTTP/2 the connection is shared.
func (c *config) takesOver(w http.ResponseWriter, r *http.Request) bool {
	if c.portable || !rawsock.Supported() || r.ProtoMajor != 1 || r.TLS != nil {
		return false
	}
	_, ok := innermost(w).(http.Hijacker)
	return ok
}

// heads lends the buffers that response heads are built in.
var heads bytebufferpool.Pool

// serveConn takes the connection out of the server's hands and streams over it.
func (c *config) serveConn(w http.ResponseWriter, r *http.Request, hub *engine.Hub, seat *engine.Seat) bool {
	conn, _, err := http.NewResponseController(w).Hijack()
	if errors.Is(err, http.ErrNotSupported) {
		return c.serveResponse(w, r, hub, seat)
	}
	if err != nil {
		writeError(w, &Error{Status: http.StatusInternalServerError, Message: "the connection can't be streamed over"})
		return false
	}
	head := heads.Get()
	defer heads.Put(head)
	head.B = c.appendHead(head.B[:0], r.ProtoMinor, w.Header(), time.Now())
	head.B = c.appendGreeting(head.B)

	sock, err := rawsock.Take(conn, c.silence(hub))
	if err != nil {
		// A wrapped connection, or no descriptor left: it keeps its goroutine.
		c.serveHijacked(conn, head.B, r, hub, seat)
		return true
	}
	err = writeHead(conn, sock, head.B)
	conn.Close()
	if err != nil {
		sock.Close(true)
		return true
	}
	subscriber, err := seat.Take(rawSink{sock})
	if err != nil { // closed since admit; the client comes back
		sock.Close(false)
		return true
	}
	sock.Watch(subscriber)
	return true
}

// silence is how long the peer of a connection may take no byte: the
// connection's stall time-out, else the hub's. 0 or less: for ever.
func (c *config) silence(hub *engine.Hub) time.Duration {
	if c.stall != 0 {
		return c.stall
	}
	return hub.StallTimeout()
}

// headTimeout bounds the write of a head that does not go out at once.
const headTimeout = 10 * time.Second

// writeHead writes the response head. The buffer of a new connection has room
// for any sensible one; conn, which can wait, is needed where a client sent its
// request without reading the answer to the one before.
func writeHead(conn net.Conn, sock *rawsock.Conn, head []byte) error {
	n, err := sock.Write(head)
	if err != nil || n == len(head) {
		return err
	}
	if err := conn.SetWriteDeadline(time.Now().Add(headTimeout)); err != nil {
		return err
	}
	_, err = conn.Write(head[n:])
	return err
}

// serveHijacked streams over a connection that is hijacked but can't be taken
// over further, head first. It returns when the stream has ended.
func (c *config) serveHijacked(conn net.Conn, head []byte, r *http.Request, hub *engine.Hub, seat *engine.Seat) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer conn.Close() // also ends the reading below
	// The server does not watch a hijacked connection for the peer's end.
	go func() {
		_, _ = io.Copy(io.Discard, conn)
		cancel()
	}()
	c.pump(ctx, connOutput{conn}, head, hub, seat)
}

// connOutput writes a stream to a hijacked connection.
type connOutput struct{ net.Conn }

func (o connOutput) send(p []byte) error {
	_, err := o.Write(p)
	return err
}

func (o connOutput) expire() { _ = o.SetWriteDeadline(time.Unix(1, 0)) }
