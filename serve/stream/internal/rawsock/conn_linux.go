package rawsock

import (
	"errors"
	"io"
	"math"
	"net"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Conn is a connected stream socket that nothing of package net knows any more.
//
// Write and Close belong to one goroutine at a time, the owner, which is the
// only one that may close the descriptor; so a number that the kernel gives to
// somebody else can't be written through an old Conn. Watch may run beside them.
type Conn struct {
	poller *poller
	fd     int32 // owned by the owner, until Close
	slot   slotID
	input  bool // watched for as well; fixed
	full   bool // the owner's: room is watched for since a send fell short
}

// Supported reports whether [Take] can succeed on this system.
func Supported() bool { return true }

// Take makes a Conn of the socket of c, which must be exactly a *net.TCPConn or
// a *net.UnixConn: anything that wraps a connection is refused with
// [errors.ErrUnsupported], since its wrapper would be bypassed. Both now refer to
// the connection; closing c lets go of what package net holds, and the
// connection lives on.
//
// A TCP peer is taken for gone, which [Waker.Hangup] tells, when it acknowledges
// nothing of what was sent for longer than silence, or when its window stays shut
// for so long while something waits, though it answers the probes: to the kernel
// (TCP_USER_TIMEOUT) the two are the same, so silence must not be shorter than
// what a live peer that does not read is allowed. 0 or less leaves it to the
// kernel's own patience: a quarter of an hour for a peer that does not answer, for
// ever where it does. (Keep-alive probes do not help where something was sent and
// is waited for.)
func Take(c net.Conn, silence time.Duration) (*Conn, error) { return take(c, silence, false) }

// TakeReading is [Take] of a socket whose input is wanted: a [Reader] that watches
// is told of it.
func TakeReading(c net.Conn, silence time.Duration) (*Conn, error) { return take(c, silence, true) }

func take(c net.Conn, silence time.Duration, input bool) (*Conn, error) {
	var sock syscall.Conn
	switch nc := c.(type) {
	case *net.TCPConn:
		sock = nc
	case *net.UnixConn:
		sock, silence = nc, 0
	default:
		return nil, errors.ErrUnsupported
	}
	rc, err := sock.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd, dupErr := -1, error(nil)
	if err := rc.Control(func(old uintptr) {
		fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return nil, err
	}
	if dupErr != nil {
		return nil, dupErr
	}
	if silence > 0 {
		ms := min(silence.Milliseconds(), math.MaxInt32)
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(max(ms, 1)))
	}
	p, slot, err := watch(fd, input)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &Conn{poller: p, fd: int32(fd), slot: slot, input: input}, nil
}

// Watch names the one who is told what happens to the connection, including
// what happened since [Take]. It is called once; it does nothing after Close.
func (c *Conn) Watch(w Waker) { c.poller.attach(c.slot, w) }

// Write sends as much of p as the socket takes at once and returns that number;
// it never blocks and does not keep p. Fewer bytes than len(p) without an error
// mean that [Waker.Writable] follows when there is room.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := send(c.fd, p)
	return c.sent(p, n, err)
}

// sent is what becomes of a send of p that returned n and err.
func (c *Conn) sent(p []byte, n int, err error) (int, error) {
	if err != nil || n == len(p) {
		return n, err
	}
	if !c.full {
		// Few connections ever get here, so room is not watched for from the
		// start: it would be an event for each connection on arrival. From now
		// on the kernel tells it by itself whenever a full buffer drained, since
		// the watch is edge-triggered. What drained since the send is seen when
		// the watch is changed: nothing is missed between the two.
		if err := c.poller.rearm(c.fd, c.slot, c.input); err != nil {
			return n, err
		}
		c.full = true
	}
	return n, nil
}

// Read takes as much input as is there, into p. It never blocks: ok is false where
// there is none. The end of the peer's side is io.EOF. Not to be called beside
// Close.
func (c *Conn) Read(p []byte) (n int, ok bool, err error) {
	n, errno := receive(c.fd, p)
	switch {
	case errno == unix.EAGAIN:
		return 0, false, nil
	case errno != 0:
		return 0, false, errno
	case n == 0 && len(p) > 0:
		return 0, false, io.EOF
	}
	return n, true, nil
}

// receive is one recv system call.
func receive(fd int32, p []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_DONTWAIT, 0, 0)
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

// Close ends the connection. What was sent before still reaches the peer, in
// whatever it has sent itself: the descriptor is given back when the peer has
// closed its side, or [Lingering] counts it for some seconds at most. With reset
// set it is given back at once, and the kernel throws away what was sent together
// with the peer's side, which frees the memory of a peer that takes no bytes.
// Nothing may be called on c afterwards but Watch.
func (c *Conn) Close(reset bool) {
	c.poller.unwatch(c.fd)
	if reset {
		_ = unix.SetsockoptLinger(int(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		unix.Close(int(c.fd))
	} else {
		linger(c.poller, c.fd) // before the slot goes, which keeps the poller
	}
	c.fd = -1
	c.poller.release(c.slot)
}

// send is one send system call. The raw form tells the scheduler nothing: it
// can't block, and it is the hottest call of a server.
func send(fd int32, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
			unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EAGAIN:
			return 0, nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}
