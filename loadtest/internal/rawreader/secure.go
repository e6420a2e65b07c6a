//go:build linux

package rawreader

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spatehub/spate/loadtest/internal/fleet"
	"github.com/spatehub/spate/loadtest/internal/session"
)

// shaker makes TLS connections, each in a goroutine that ends when the loop has the
// connection. Any goroutine may use it.
type shaker struct {
	base *tls.Config
	room chan struct{} // one for each handshake under way
	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu sync.Mutex
	by map[string]*tls.Config // base, by the server's name; guarded by mu
}

// handshakes bounds those that are under way in a process: more would only wait for
// each other's cryptography.
const handshakes = 32

func newShaker(base *tls.Config) *shaker {
	s := &shaker{base: base, room: make(chan struct{}, handshakes), by: map[string]*tls.Config{}}
	s.base.NextProtos = []string{"http/1.1"}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// close gives up what is under way.
func (s *shaker) close() {
	s.stop()
	s.wg.Wait()
}

// config is the configuration for a server of the given name.
func (s *shaker) config(name string) *tls.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.by[name]
	if c == nil {
		c = s.base.Clone()
		c.ServerName = name
		s.by[name] = c
	}
	return c
}

// shaken is what has become of a handshake.
type shaken struct {
	conn            *secure // nil if err is not
	err             error
	began, finished int64 // nanoseconds since the Unix epoch; the request was sent at finished
}

// dialSecure begins to connect stream j by TLS, and to send its request.
func (l *loop) dialSecure(j int, s *stream, u *url.URL, source netip.Addr, dest netip.AddrPort) {
	gen, request, patience := s.gen, s.head, l.part.Config.ConnectTimeout
	s.head = nil
	d := net.Dialer{KeepAlive: -1, Control: control(s.Role != session.Normal, source.IsValid())}
	if source.IsValid() && source.Is4() == dest.Addr().Is4() {
		d.LocalAddr = &net.TCPAddr{IP: source.AsSlice()}
	}
	conf := l.shaker.config(u.Hostname())
	l.shaker.wg.Go(func() {
		ctx, cancel := context.WithTimeout(l.shaker.ctx, patience)
		defer cancel()
		got := l.shaker.shake(ctx, d, dest, conf, request, l.now)
		l.post(func() { l.secured(j, gen, got) })
	})
}

// control prepares a socket before it connects.
func control(reluctant, bound bool) func(string, string, syscall.RawConn) error {
	return func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { // both are hints
			if reluctant {
				_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, reluctantBuffer)
			}
			if bound {
				_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
			}
		})
	}
}

// shake makes one connection and sends the request by it.
func (s *shaker) shake(ctx context.Context, d net.Dialer, dest netip.AddrPort, conf *tls.Config, request []byte, now func() int64) (got shaken) {
	select {
	case s.room <- struct{}{}:
		defer func() { <-s.room }()
	case <-ctx.Done():
		got.err = ctx.Err()
		return got
	}
	got.began = now()
	conn, err := d.DialContext(ctx, "tcp", dest.String())
	if err != nil {
		got.err = err
		return got
	}
	deadline, _ := ctx.Deadline()
	under := &carrier{conn: conn, fd: -1}
	t := tls.Client(under, conf)
	if got.err = t.HandshakeContext(ctx); got.err == nil {
		got.finished = now()
		_ = conn.SetDeadline(deadline) // cannot fail on an open connection
		_, got.err = t.Write(request)
	}
	if got.err == nil {
		got.err = under.take()
	}
	if got.err != nil {
		_ = conn.Close()
		return got
	}
	got.conn = &secure{t, under}
	return got
}

// secured goes on with stream j where its handshake has ended.
func (l *loop) secured(j int, gen int32, got shaken) {
	s := &l.streams[j]
	if l.stopped || s.gen != gen || s.state != connecting {
		if got.conn != nil { // given up meanwhile
			_ = unix.Close(got.conn.under.fd)
		}
		return
	}
	if got.err != nil {
		l.fail(j, s, fleet.Kind("connect", got.err))
		return
	}
	s.fd, s.secure = int32(got.conn.under.fd), got.conn
	l.reader.Connected(&s.Session, got.began, got.finished)
	s.state, s.sawByte = awaitingHead, false
	s.deadline = l.now() + int64(l.part.Config.ConnectTimeout)
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(j), Pad: s.gen}
	if err := unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, int(s.fd), &ev); err != nil {
		l.fail(j, s, fleet.Kind("epoll", err))
		return
	}
	l.readSecure(j, s, l.buf) // part of it may have been read with the handshake
}

// readSecure takes what has arrived, up to the size of into: the socket may be empty,
// and epoll silent, while crypto/tls still has something. If that is not all, a timer
// has the rest read.
func (l *loop) readSecure(j int, s *stream, into []byte) {
	s.secure.under.dry = false
	for gen := s.gen; len(into) > 0; {
		n, err := s.secure.Read(into)
		if n > 0 {
			l.take(j, s, into[:n])
			if s.gen != gen || s.state == idle || !l.wants(s) {
				return
			}
			into = into[n:]
		}
		if _, dry := err.(errDry); dry {
			return
		}
		if err != nil {
			l.fail(j, s, s.endSecure(err))
			return
		}
	}
	l.timers.push(timer{at: l.now() + int64(time.Millisecond), stream: int32(j), gen: s.gen})
}

// endSecure is the kind of an end of a TLS connection.
func (s *stream) endSecure(err error) string {
	if kind := fleet.Kind("read", err); kind != fleet.KindClosed {
		return kind
	}
	return s.cut() // in order
}
