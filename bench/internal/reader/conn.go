//go:build linux

package reader

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/spatehub/spate/loadtest/http1"
)

// conn is one stream.
type conn struct {
	fd      int
	state   connState
	stalled bool
	passes  bool // it comes and goes
	stayed  int  // events since it came, if so
	chunked bool
	check   check
	chunks  http1.Chunked
	kept    []byte // of the head, or an event that is not all there
	began   int64
}

type connState byte

const (
	closed connState = iota
	connecting
	awaiting // the response head
	open
)

// dial starts to connect stream n.
func (l *loop) dial(n int) {
	c := &l.conns[n]
	c.began = wall()
	var err error
	if l.connect.bridged() {
		c.fd, err = l.bridge(n)
	} else {
		c.fd, err = l.socket(c, n)
	}
	if err != nil {
		l.fail(c, "connect: "+err.Error())
		return
	}
	c.state = connecting
	ev := unix.EpollEvent{Events: unix.EPOLLOUT | unix.EPOLLRDHUP, Fd: int32(n)}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, c.fd, &ev); err != nil {
		l.fail(c, "epoll: "+err.Error())
	}
}

// socket returns a socket that is being connected, -1 with an error.
func (l *loop) socket(c *conn, n int) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if c.stalled {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, stalledBuffer)
	}
	// Many addresses of the loopback network, so that the ports of one do not run out.
	to := &unix.SockaddrInet4{Port: l.connect.Port, Addr: [4]byte{127, 0, 0, byte(1 + n/perAddress%200)}}
	if err := unix.Connect(fd, to); err != nil && err != unix.EINPROGRESS {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// stalledBuffer is what the kernel holds for a stream that does not read, so that the server notices soon.
const stalledBuffer = 4 << 10

// perAddress is how many streams go to one address of the server.
const perAddress = 8192

// connected sends the request once the socket is connected.
func (l *loop) connected(c *conn, n int) {
	if code, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || code != 0 {
		l.fail(c, "connect: "+unix.Errno(code).Error())
		return
	}
	_ = unix.SetsockoptInt(c.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	path := l.connect.Path
	if c.stalled {
		path = l.connect.StalledPath
	}
	target := strings.NewReplacer("{n}", strconv.Itoa(n), "{t}", strconv.Itoa(n%max(1, l.connect.Targets)),
		"{last}", url.QueryEscape(l.connect.LastID)).Replace(path)
	request := "GET " + target + " HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\nCache-Control: no-cache\r\n"
	if l.connect.LastID != "" {
		request += "Last-Event-ID: " + l.connect.LastID + "\r\n"
	}
	if l.connect.Gzip {
		request += "Accept-Encoding: gzip\r\n"
	}
	if len(l.connect.Bearers) > 0 {
		request += "Authorization: Bearer " + l.connect.Bearers[n] + "\r\n"
	}
	if k, err := unix.Write(c.fd, []byte(request+"\r\n")); err != nil || k != len(request)+2 {
		l.fail(c, fmt.Sprintf("request: %v", err))
		return
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(n)}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_MOD, c.fd, &ev); err != nil {
		l.fail(c, "epoll: "+err.Error())
		return
	}
	c.state = awaiting
}

// readable takes in what the socket has.
func (l *loop) readable(c *conn, n int) {
	had := copy(l.buf, c.kept)
	k, errno := recv(c.fd, l.buf[had:])
	now := wall()
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return
	case errno != 0:
		l.fail(c, "read: "+errno.Error())
		return
	case k == 0:
		l.fail(c, "ended by the server")
		return
	}
	l.count.Bytes += uint64(k)
	l.last = now
	b := l.buf[:had+k]
	if c.state == awaiting {
		var ok bool
		if b, ok = l.head(c, n, b, now); !ok {
			return
		}
		had = 0
		if c.stalled {
			_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, c.fd, nil)
			return
		}
	}
	kept, ok := b, true
	if c.chunked {
		kept, ok = l.unchunk(c, b, had, now)
	} else {
		kept = l.feed(c, b, now)
	}
	c.kept = append(c.kept[:0], kept...)
	switch {
	case !ok:
		l.fail(c, "ended by the server")
	case c.passes && c.stayed >= l.connect.Stay:
		l.recycle(c, n)
	}
}

// head takes in the response head and returns what follows it. Without the whole head ok is false.
func (l *loop) head(c *conn, n int, b []byte, now int64) (body []byte, ok bool) {
	h, size, err := http1.ParseHead(b)
	switch {
	case err != nil:
		l.fail(c, err.Error())
		return nil, false
	case size == 0:
		c.kept = append(c.kept[:0], b...)
		return nil, false
	case h.Status != 200:
		l.fail(c, fmt.Sprintf("status %d", h.Status))
		return nil, false
	}
	c.chunked = h.Chunked
	c.chunks = http1.Chunked{}
	c.kept = c.kept[:0]
	c.state = open
	l.opening--
	l.open++
	l.opened.record(now - c.began)
	return b[size:], true
}

// fail ends a stream that has not been asked to end.
func (l *loop) fail(c *conn, why string) {
	if c.state == open {
		l.open--
	} else {
		l.opening--
	}
	if c.state == open || c.passes {
		l.count.Ended++
	}
	l.failed[why]++
	l.close(c)
}

func (l *loop) close(c *conn) {
	if c.fd >= 0 {
		unix.Close(c.fd)
	}
	c.fd, c.state = -1, closed
	c.kept = c.kept[:0]
}

// recv reads without telling the scheduler: it never waits.
func recv(fd int, p []byte) (int, unix.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))),
		uintptr(len(p)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}
