package rawsock

import (
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// poller is one epoll instance and the goroutine that reads it. It lives from
// the first watched socket to the release of the last.
type poller struct {
	file  *os.File // the epoll instance, under Go's network poller
	raw   syscall.RawConn
	epfd  int
	slots slotTable

	// The goroutine's own.
	events [eventBatch]unix.EpollEvent
	news   [eventBatch]notice
}

// eventBatch bounds the events taken from the kernel at a time.
const eventBatch = 256

// current is the poller that new sockets join, nil while there is none. Its lock
// is taken before a table's.
var current struct {
	sync.Mutex
	p *poller
}

// interest is what a socket is watched for from the start.
func interest(input bool) uint32 {
	if input {
		return unix.EPOLLRDHUP | unix.EPOLLIN | unix.EPOLLET
	}
	return unix.EPOLLRDHUP | unix.EPOLLET
}

// watch has fd watched for hang-up, and input if wanted, and reserves the slot that its events name.
// The caller owes a release.
func watch(fd int, input bool) (*poller, slotID, error) {
	current.Lock()
	if current.p == nil {
		p, err := newPoller()
		if err != nil {
			current.Unlock()
			return nil, slotID{}, err
		}
		current.p = p
		go p.run()
	}
	p := current.p
	slot := p.slots.reserve()
	current.Unlock()

	ev := slot.event(interest(input))
	if err := unix.EpollCtl(p.epfd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		p.release(slot)
		return nil, slotID{}, os.NewSyscallError("epoll_ctl", err)
	}
	return p, slot, nil
}

func newPoller() (*poller, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	// An epoll descriptor can itself be polled. os.NewFile puts non-blocking
	// ones under the runtime's poller, so that run waits as any goroutine does.
	if err := unix.SetNonblock(epfd, true); err != nil {
		unix.Close(epfd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	file := os.NewFile(uintptr(epfd), "epoll")
	raw, err := file.SyscallConn()
	if err == nil {
		// Fails where the runtime could not take the descriptor: run could then
		// neither wait nor be stopped.
		err = file.SetReadDeadline(time.Time{})
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return &poller{file: file, raw: raw, epfd: epfd}, nil
}

// run passes on events until stop.
func (p *poller) run() {
	// The function never says that it is done, so Read waits and calls again
	// until the deadline that stop sets ends the wait.
	_ = p.raw.Read(func(uintptr) bool {
		p.drain()
		return false
	})
	p.file.Close()
}

// stop ends run without waiting for it. No socket is watched any more.
func (p *poller) stop() { _ = p.file.SetReadDeadline(time.Unix(1, 0)) }

// drain passes on all events that the kernel has ready. It must leave none
// behind: run is woken by new events only.
func (p *poller) drain() {
	for {
		n, err := unix.EpollWait(p.epfd, p.events[:], 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return
		}
		p.dispatch(p.events[:n])
		if n < len(p.events) {
			return
		}
	}
}

// dispatch tells each event to the waker of the socket that it names. Events of
// sockets that were released meanwhile go nowhere.
func (p *poller) dispatch(events []unix.EpollEvent) {
	news := p.slots.resolve(events, p.news[:0])
	for i := range news {
		news[i].tell()
		news[i].to = nil // keeps no connection alive
	}
}

// attach names the waker of slot and tells it what happened before.
func (p *poller) attach(slot slotID, w Waker) {
	early := p.slots.attach(slot, w)
	notice{to: w, events: early}.tell()
}

// rearm has fd watched for room as well. Room that is there already is told.
func (p *poller) rearm(fd int32, slot slotID, input bool) error {
	ev := slot.event(interest(input) | unix.EPOLLOUT)
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.epfd, unix.EPOLL_CTL_MOD, int(fd), &ev))
}

// unwatch stops the events of fd. Closing fd would do it too, but not while a
// process that is being forked holds a copy.
func (p *poller) unwatch(fd int32) {
	_ = unix.EpollCtl(p.epfd, unix.EPOLL_CTL_DEL, int(fd), nil)
}

// release frees slot: no event can reach its waker any more, except one that
// dispatch has looked up before. The last release stops the poller.
func (p *poller) release(slot slotID) {
	if !p.slots.release(slot) {
		return
	}
	current.Lock()
	defer current.Unlock()
	// A socket may have come between the two locks, or another last one.
	if current.p == p && p.slots.empty() {
		current.p = nil
		p.stop()
	}
}

// notice is an event on its way to the waker.
type notice struct {
	to     Waker
	events uint32
}

func (n notice) tell() {
	if n.events&unix.EPOLLIN != 0 {
		if r, reads := n.to.(Reader); reads {
			r.Readable() // before its end is told
		}
	}
	switch {
	case n.events&(unix.EPOLLERR|unix.EPOLLHUP) != 0:
		n.to.Hangup(ErrReset)
	case n.events&unix.EPOLLRDHUP != 0:
		n.to.Hangup(io.EOF)
	case n.events&unix.EPOLLOUT != 0:
		n.to.Writable()
	}
}
