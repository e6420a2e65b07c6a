package rawsock

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A socket that is closed over input which nobody has read is answered for by a
// reset, and a reset throws away what the peer has not read yet: the end of its
// stream. So an orderly end goes in stages (RFC 9112, 9.6): no more is sent, what
// the peer still sends is read and dropped, and once the peer has closed its side
// too, or the bounds are reached, the socket is closed.
//
// Bounds of one such end, and of all that are under way.
const (
	lingerTime  = 5 * time.Second
	lingerBytes = 256 << 10
)

// maxLingers bounds the sockets at a time: the oldest is closed for a newer one.
// Tests set it.
var maxLingers = 4096

// lingering is a socket on its way to its end. The poller's goroutine reads it,
// the clock and newer ones may close it: the lock of lingers is held for both.
type lingering struct {
	poller *poller
	slot   slotID
	fd     int32 // -1: closed
	left   int   // bytes still to be read and dropped
	since  time.Time
}

// lingers are the sockets on their way to their end, oldest first; its lock is
// taken before those of a poller and a table.
var lingers struct {
	sync.Mutex
	queue []*lingering // closed ones among them
	open  int
	clock *time.Timer // runs while there are any
}

// linger ends a socket in stages. The caller has let go of fd, which no poller
// watches.
func linger(p *poller, fd int32) {
	l := &lingering{poller: p, fd: fd, left: lingerBytes, since: time.Now()}
	if l.drop() || unix.Shutdown(int(fd), unix.SHUT_WR) != nil {
		unix.Close(int(fd)) // the peer has closed its side, or there is none
		return
	}
	lingers.Lock()
	defer lingers.Unlock()
	l.slot = p.slots.reserve()
	p.slots.attach(l.slot, l)
	ev := l.slot.event(unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET)
	if unix.EpollCtl(p.epfd, unix.EPOLL_CTL_ADD, int(fd), &ev) != nil {
		l.close()
		return
	}
	lingers.open++
	lingers.queue = append(lingers.queue, l)
	for lingers.open > maxLingers {
		lingers.queue[0].end()
		trimLingers()
	}
	if lingers.clock == nil {
		lingers.clock = time.AfterFunc(lingerTime, expireLingers)
	}
}

// Hangup implements [Waker]: the peer may have sent something before.
func (l *lingering) Hangup(error) { l.Readable() }

// Writable implements [Waker]: room is not watched for.
func (l *lingering) Writable() {}

// Readable implements [Reader].
func (l *lingering) Readable() {
	lingers.Lock()
	defer lingers.Unlock()
	if l.fd >= 0 && l.drop() {
		l.end()
		trimLingers()
	}
}

// Lingering is the number of sockets that are closed for their owners, and wait
// for their peers.
func Lingering() int {
	lingers.Lock()
	defer lingers.Unlock()
	return lingers.open
}

// drop reads what is there. It returns whether there is nothing to wait for any
// more: the peer has closed its side, the socket is broken, or the bound reached.
func (l *lingering) drop() (over bool) {
	var scratch [4096]byte
	for l.left > 0 {
		n, errno := receive(l.fd, scratch[:])
		switch {
		case errno == unix.EAGAIN:
			return false
		case errno != 0 || n == 0:
			return true
		default:
			l.left -= n
		}
	}
	return true
}

// end closes the socket; the lock is held.
func (l *lingering) end() {
	if l.fd >= 0 {
		lingers.open--
		l.poller.unwatch(l.fd)
		l.close()
	}
}

func (l *lingering) close() {
	unix.Close(int(l.fd))
	l.fd = -1
	l.poller.release(l.slot)
}

// trimLingers lets go of what is closed at the front of the queue; the lock is
// held.
func trimLingers() {
	q := lingers.queue
	for len(q) > 0 && q[0].fd < 0 {
		q[0] = nil
		q = q[1:]
	}
	if lingers.queue = q; len(q) == 0 {
		lingers.queue = nil
	}
}

// expireLingers closes the sockets whose time is over.
func expireLingers() { expireAt(time.Now()) }

func expireAt(now time.Time) {
	lingers.Lock()
	defer lingers.Unlock()
	for _, l := range lingers.queue {
		if now.Sub(l.since) < lingerTime {
			break
		}
		l.end()
	}
	trimLingers()
	lingers.clock = nil
	if len(lingers.queue) > 0 {
		lingers.clock = time.AfterFunc(lingerTime-now.Sub(lingers.queue[0].since), expireLingers)
	}
}
