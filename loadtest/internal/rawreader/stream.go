//go:build linux

package rawreader

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spatehub/spate/loadtest/http1"
	"github.com/spatehub/spate/loadtest/internal/fleet"
	"github.com/spatehub/spate/loadtest/internal/session"
)

type state uint8

const (
	idle state = iota // not connected; a timer may be set
	connecting
	sending // the request, of which the socket did not take all at once
	awaitingHead
	streaming
)

// stream is one connection, in turn many. With the session it takes some 600
// bytes; nothing else is kept per stream once the head is read.
type stream struct {
	session.Session
	head     []byte // the request until it is sent, then the part of the response's head that is there; nil while streaming
	body     http1.Chunked
	left     uint64 // bytes to come of a body that is not chunked
	deadline int64  // for connecting and the head, nanoseconds since the Unix epoch
	fd       int32  // -1 = none
	gen      int32  // counts connections: tells events of closed ones from those of the present one
	state    state
	chunked  bool
	sawByte  bool
}

// slowTick is how often a slow stream reads.
const slowTick = 50 * time.Millisecond

// reluctantBuffer is the receive buffer asked for on streams that read slowly
// or not at all, so that the server feels it soon.
const reluctantBuffer = 4096

// connect begins a connection of stream j.
func (l *loop) connect(j int) {
	s := &l.streams[j]
	if s.state != idle || l.stopped || s.SentAway() || l.part.Env.Finite != nil && l.part.Env.Quiet.Load() {
		return
	}
	now := l.now()
	s.gen++
	s.state = connecting
	l.reader.Begin(&s.Session, now)
	s.deadline = now + int64(l.part.Config.ConnectTimeout)
	if err := l.dial(j, s); err != nil {
		l.fail(j, s, fleet.Kind("connect", err))
	}
}

// dial prepares the request and begins to connect.
func (l *loop) dial(j int, s *stream) error {
	n := l.part.From + j*l.of + l.index
	sub, err := l.part.Adapter.Subscribe(n)
	if err != nil {
		return err
	}
	dest, err := l.addrs.Dest(n, sub.URL)
	if err != nil {
		return err
	}
	s.head = appendRequest(nil, sub, s.LastID)
	family := unix.AF_INET6
	if dest.Addr().Is4() {
		family = unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	s.fd = int32(fd)
	if s.Role != session.Normal {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, reluctantBuffer) // a hint
	}
	if src := l.addrs.Source(n); src.IsValid() && src.Is4() == dest.Addr().Is4() {
		// The port is chosen at connect, so that it need only differ per destination.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(src, 0))); err != nil {
			return fmt.Errorf("bind to %s: %w", src, err)
		}
	}
	if err := unix.Connect(fd, sockaddr(dest)); err != nil && err != unix.EINPROGRESS {
		return err
	}
	ev := unix.EpollEvent{Events: unix.EPOLLOUT, Fd: int32(j), Pad: s.gen}
	return unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, fd, &ev)
}

func sockaddr(ap netip.AddrPort) unix.Sockaddr {
	if ap.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}
}

// connected sends the request, all of it at once or the rest of it.
func (l *loop) connected(j int, s *stream) {
	if no, err := unix.GetsockoptInt(int(s.fd), unix.SOL_SOCKET, unix.SO_ERROR); err != nil || no != 0 {
		if err == nil {
			err = unix.Errno(no)
		}
		l.fail(j, s, fleet.Kind("connect", err))
		return
	}
	l.reader.Connected(&s.Session, s.Began(), l.now())
	s.state = sending
	l.send(j, s)
}

// send sends what is left of the request: at once, but for a large body.
func (l *loop) send(j int, s *stream) {
	n, err := unix.Write(int(s.fd), s.head)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return
	case err != nil:
		l.fail(j, s, fleet.Kind("send the request", err))
		return
	}
	if s.head = s.head[n:]; len(s.head) > 0 {
		return
	}
	s.head = nil
	s.state, s.sawByte = awaitingHead, false
	l.watch(j, s, unix.EPOLLIN|unix.EPOLLRDHUP)
}

func (l *loop) watch(j int, s *stream, events uint32) {
	ev := unix.EpollEvent{Events: events, Fd: int32(j), Pad: s.gen}
	if err := unix.EpollCtl(l.ep, unix.EPOLL_CTL_MOD, int(s.fd), &ev); err != nil {
		l.fail(j, s, fleet.Kind("epoll", err))
	}
}

// read takes what the connection has, up to the size of into.
func (l *loop) read(j int, s *stream, into []byte) {
	n, err := readNow(int(s.fd), into)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return
	case err != nil:
		l.fail(j, s, fleet.Kind("read", err))
		return
	case n == 0:
		l.fail(j, s, s.cut())
		return
	}
	now := l.now()
	l.lastRead = now
	l.reader.Stats.Bytes += int64(n)
	b := into[:n]
	if s.state == awaitingHead {
		if b = l.readHead(j, s, b, now); s.state != streaming {
			return
		}
	}
	if kind := l.readBody(s, b, now); kind != "" {
		l.fail(j, s, kind)
	}
}

// readHead takes the response's head and returns what comes after it.
func (l *loop) readHead(j int, s *stream, b []byte, now int64) []byte {
	if !s.sawByte {
		s.sawByte = true
		l.reader.FirstByte(&s.Session, now)
	}
	if len(s.head) > 0 {
		s.head = append(s.head, b...)
		b = s.head
	}
	h, n, err := http1.ParseHead(b)
	for err == nil && n > 0 && h.Status < 200 { // informational: the response is still to come
		b = b[n:]
		h, n, err = http1.ParseHead(b)
	}
	switch {
	case err != nil:
		l.fail(j, s, fleet.Kind("response head", err))
		return nil
	case n == 0:
		s.head = append(s.head[:0], b...)
		return nil
	case h.Status != 200:
		l.fail(j, s, fleet.StatusKind(h.Status))
		return nil
	case h.ContentType != http1.EventStream:
		l.fail(j, s, fleet.TypeKind(h.ContentType))
		return nil
	case h.Encoding != "" && h.Encoding != "identity":
		l.fail(j, s, "content-encoding "+h.Encoding)
		return nil
	}
	s.head = nil
	s.state, s.chunked, s.body, s.left = streaming, h.Chunked, http1.Chunked{}, math.MaxUint64
	if !h.Chunked && h.Length >= 0 {
		s.left = uint64(h.Length)
	}
	l.reader.Joined(&s.Session, now)
	switch s.Role {
	case session.Slow:
		l.watch(j, s, unix.EPOLLRDHUP)
		l.timers.push(timer{at: now + int64(slowTick), stream: int32(j), gen: s.gen})
	case session.Stalled:
		l.watch(j, s, unix.EPOLLRDHUP)
	}
	return b[n:]
}

// readBody gives the body's bytes to the session. The kind tells why the stream
// is over; "" if it is not.
func (l *loop) readBody(s *stream, b []byte, now int64) (kind string) {
	if s.Role == session.Stalled {
		return ""
	}
	if !s.chunked {
		if uint64(len(b)) >= s.left {
			b = b[:s.left]
			kind = fleet.KindClosed
		}
		s.left -= uint64(len(b))
		if err := l.reader.Feed(&s.Session, b, now); err != nil {
			return feedKind(err)
		}
		return kind
	}
	for {
		data, rest, err := s.body.Next(b)
		if err != nil {
			return fleet.Kind("chunked coding", err)
		}
		if len(data) == 0 {
			break
		}
		if err := l.reader.Feed(&s.Session, data, now); err != nil {
			return feedKind(err)
		}
		b = rest
	}
	if s.body.Ended() {
		return fleet.KindClosed
	}
	return ""
}

// feedKind is the kind of an end that the session asks for.
func feedKind(err error) string {
	if errors.Is(err, session.ErrDone) {
		return session.KindDone
	}
	return fleet.KindTooLarge
}

// cut is the kind of an end of the connection without a word: only a response
// without length or chunks ends so, or one that never began.
func (s *stream) cut() string {
	if s.state == awaitingHead && !s.sawByte {
		return fleet.KindClosed
	}
	if s.state == streaming && !s.chunked && s.left > math.MaxInt64 {
		return fleet.KindClosed
	}
	return fleet.KindCut
}

// readSlowly reads a slow stream's share of a tick.
func (l *loop) readSlowly(j int, s *stream) {
	share := max(1, int(int64(l.part.SlowRate(j*l.of+l.index))*int64(slowTick)/int64(time.Second)))
	gen := s.gen
	l.read(j, s, l.buf[:min(share, len(l.buf))])
	if s.gen == gen && s.state == streaming {
		l.timers.push(timer{at: l.now() + int64(slowTick), stream: int32(j), gen: gen})
	}
}

// wants reports whether the stream is read as soon as there is something.
func (l *loop) wants(s *stream) bool {
	return s.state != streaming || s.Role == session.Normal
}

// unwanted serves an event of a stream that is slow or stalled.
func (l *loop) unwanted(j int, s *stream, events uint32) {
	if s.Role == session.Slow && events&(unix.EPOLLHUP|unix.EPOLLERR) == 0 {
		l.watch(j, s, 0) // it reads on until it meets the end
		return
	}
	l.fail(j, s, fleet.KindClosed) // what it would have read is not known
}

// drop closes stream j if it is open, to connect again after away.
func (l *loop) drop(j int, away time.Duration) {
	s := &l.streams[j]
	if s.state != streaming {
		return
	}
	l.hangUp(s, true, "")
	l.wakeAt(j, s, away*3/4+time.Duration(rand.Int64N(int64(away)/2+1)))
}

// retire closes stream j until it is asked for again.
func (l *loop) retire(j int) {
	s := &l.streams[j]
	if s.state != idle {
		l.hangUp(s, true, "")
	}
	s.gen++ // no timer opens it
	s.Retire()
}

// fail ends stream j's connection for a reason that is not the tester's.
func (l *loop) fail(j int, s *stream, kind string) {
	l.hangUp(s, false, kind)
	if kind == fleet.KindAway {
		s.SendAway()
	}
	if wait, ok := l.again.After(kind); ok {
		l.wakeAt(j, s, wait)
		return
	}
	l.freed(j)
}

// hangUp closes the connection and counts its end.
func (l *loop) hangUp(s *stream, own bool, kind string) {
	if s.fd >= 0 {
		_ = unix.Close(int(s.fd))
		s.fd = -1
	}
	s.head = nil
	s.state = idle
	l.reader.Ended(&s.Session, own, kind, l.now())
}
