package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream/internal/rawsock"
	"github.com/spatehub/spate/serve/stream/internal/rawtls"
	"github.com/spatehub/spate/wire"
)

// rawSink is a taken-over socket as the hub sees it. One pointer: as an
// interface it needs no memory of its own.
type rawSink struct{ *rawsock.Conn }

// Close implements [engine.Sink].
func (s rawSink) Close(reason error) {
	overSocket.end()
	s.Conn.Close(hopeless(reason))
}

// tlsSink is a rawSink under TLS.
type tlsSink struct{ *rawtls.Stream }

// Close implements [engine.Sink].
func (s tlsSink) Close(reason error) {
	overTLSSocket.end()
	s.Stream.Close(hopeless(reason))
}

// hopeless reports whether what was sent last should be thrown away: the peer
// takes no bytes, and an orderly end would keep them in the kernel for minutes.
func hopeless(reason error) bool {
	return errors.Is(reason, engine.ErrStalled) || errors.Is(reason, rawsock.ErrReset)
}

// leashedSink is a sink whose stream may end before its peer, by what no session sees to.
type leashedSink struct {
	engine.Sink
	leash leash
}

// Close implements [engine.Sink].
func (s *leashedSink) Close(reason error) {
	s.leash.loose()
	s.Sink.Close(reason)
}

// takesOver reports whether the connection is one to hijack once its head is sent.
// Over TLS that needs a connection of [NewTLSListener], and over HTTP/2 the connection
// is shared. What middleware codes, or holds back, is seen with the head.
func (c *config) takesOver(w http.ResponseWriter, r *http.Request) bool {
	if c.portable || !rawsock.Supported() || r.ProtoMajor != 1 {
		return false
	}
	if r.TLS != nil && !rawtls.Under(r.Context().Value(http.LocalAddrContextKey)) {
		return false
	}
	_, ok := innermost(w).(http.Hijacker)
	return ok
}

// formOf is how the body of a connection that was taken over is framed: as the
// server said in the head that it would be.
func formOf(r *http.Request) engine.Form {
	if r.ProtoAtLeast(1, 1) {
		return engine.FormChunked
	}
	return engine.FormPlain
}

// serveConn streams over a connection that was taken out of the server's hands
// after the head, and what went with it. first is what comes next.
func (c *config) serveConn(conn net.Conn, first []byte, r *http.Request, hub *engine.Hub, seat *engine.Seat, limit limit) {
	form := formOf(r)
	seat.UseForm(form)
	if form == engine.FormChunked {
		first = wire.AppendChunk(nil, first)
	}
	if secured, ok := conn.(*tls.Conn); ok {
		c.serveTLS(secured, first, r, hub, seat, limit)
		return
	}
	sock, err := rawsock.Take(conn, c.silence(hub))
	if err != nil {
		// A wrapped connection, or no descriptor left: it keeps its goroutine.
		c.serveHijacked(conn, first, r, hub, seat, limit)
		return
	}
	err = writeFirst(conn, sock, first)
	conn.Close()
	if err != nil {
		sock.Close(true)
		limit.release()
		return
	}
	c.usePeer(seat, r, overSocket)
	c.hand(rawSink{sock}, sock, seat, overSocket, limit)
}

// serveTLS is serveConn over TLS. What the body begins with is written while the
// connection can still wait.
func (c *config) serveTLS(conn *tls.Conn, first []byte, r *http.Request, hub *engine.Hub, seat *engine.Seat, limit limit) {
	if len(first) > 0 {
		_ = conn.SetWriteDeadline(time.Now().Add(headTimeout))
		if _, err := conn.Write(first); err != nil {
			conn.Close()
			limit.release()
			return
		}
		_ = conn.SetWriteDeadline(time.Time{})
	}
	sock, err := rawtls.Take(conn, c.silence(hub))
	if err != nil {
		c.serveHijacked(conn, nil, r, hub, seat, limit)
		return
	}
	c.usePeer(seat, r, overTLSSocket)
	c.hand(tlsSink{sock}, sock, seat, overTLSSocket, limit)
}

// socket is a connection that needs no goroutine.
type socket interface {
	Watch(rawsock.Waker)
	Close(reset bool)
}

// hand gives the socket, whose sink is sink, to the hub.
func (c *config) hand(sink engine.Sink, sock socket, seat *engine.Seat, by transport, limit limit) {
	var leashed *leashedSink
	switch {
	case limit.booked(): // nearly all: a session is its own leash
		limit.session.sink = sink
		sink = limit.session
	case limit.set():
		leashed = &leashedSink{Sink: sink}
		sink = leashed
	}
	by.begin() // ended by the sink
	subscriber, err := seat.Take(sink)
	if err != nil { // closed since admit; the client comes back
		by.end()
		sock.Close(false)
		limit.release()
		return
	}
	sock.Watch(subscriber)
	switch {
	case leashed != nil:
		leashed.leash.tie(limit, subscriber)
	case limit.booked():
		limit.session.tie(subscriber, limit.deadline)
	}
}

// NewTLSListener is [tls.NewListener] for servers with streams: where inner accepts
// TCP or Unix connections on Linux, an HTTP/1.1 stream over them needs no goroutine,
// as without TLS. The configuration is as for [tls.NewListener]; HTTP/2 needs "h2"
// in its NextProtos. Give the listener to [http.Server.Serve], not ServeTLS.
func NewTLSListener(inner net.Listener, config *tls.Config) net.Listener {
	return rawtls.Listener(inner, config)
}

// silence is how long the peer of a connection may take no byte: the
// connection's stall time-out, else the hub's. 0 or less: for ever.
func (c *config) silence(hub *engine.Hub) time.Duration {
	if c.stall != 0 {
		return c.stall
	}
	return hub.StallTimeout()
}

// writeFirst writes what the body begins with; conn, unlike sock, can wait.
func writeFirst(conn net.Conn, sock *rawsock.Conn, first []byte) error {
	n, err := sock.Write(first)
	if err != nil || n == len(first) {
		return err
	}
	if err := conn.SetWriteDeadline(time.Now().Add(headTimeout)); err != nil {
		return err
	}
	_, err = conn.Write(first[n:])
	return err
}

// serveHijacked streams over a connection that is hijacked but can't be taken
// over further. It returns when the stream has ended.
func (c *config) serveHijacked(conn net.Conn, first []byte, r *http.Request, hub *engine.Hub, seat *engine.Seat, limit limit) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer conn.Close() // also ends the reading below
	// The server does not watch a hijacked connection for the peer's end.
	go func() {
		_, _ = io.Copy(io.Discard, conn)
		cancel()
	}()
	c.pump(r.WithContext(ctx), connOutput{conn}, first, hub, seat, limit)
}

// connOutput writes a stream to a hijacked connection.
type connOutput struct{ net.Conn }

func (o connOutput) send(p []byte) error {
	_, err := o.Write(p)
	return err
}

func (o connOutput) expire() { _ = o.SetWriteDeadline(time.Unix(1, 0)) }
