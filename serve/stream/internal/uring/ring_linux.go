package uring

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ring is one pair of queues that are shared with the kernel. It is used by one
// goroutine at a time, on any thread.
type Ring struct {
	fd            int
	enter         enterFunc // the system call, but for tests
	rings, memory []byte    // mapped

	// Shared with the kernel, which moves sqHead as it takes requests and cqTail as it
	// adds completions; the others are ours. Each store publishes the entries before it.
	sqHead, sqTail, cqHead, cqTail *atomic.Uint32

	requests    []request
	completions []completion
	tail        uint32   // of the requests noted
	held        [][]byte // what they point to, for the garbage collector
}

// enterFunc is io_uring_enter(2) without its last arguments.
type enterFunc func(fd int, submit, complete uint32, flags uintptr) unix.Errno

func enter(fd int, submit, complete uint32, flags uintptr) unix.Errno {
	// Not the raw call: it may take a millisecond, and the collector need not wait for it.
	_, _, errno := syscall.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(fd), uintptr(submit), uintptr(complete), flags, 0, 0)
	return errno
}

// New makes a ring for so many sends at a time, a power of two, and tries it. The error says why
// there is none.
func New(entries int) (*Ring, error) {
	p := params{flags: setupSubmitAll}
	fd, _, errno := syscall.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, os.NewSyscallError("io_uring_setup", errno)
	}
	r := &Ring{fd: int(fd), enter: enter}
	if err := r.mapQueues(&p); err != nil {
		r.Close()
		return nil, err
	}
	r.held = make([][]byte, 0, len(r.requests))
	if err := r.try(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// mapQueues makes the kernel's queues ours too.
func (r *Ring) mapQueues(p *params) (err error) {
	if p.features&featSingleMap == 0 {
		return fmt.Errorf("io_uring without IORING_FEAT_SINGLE_MMAP: %w", errors.ErrUnsupported)
	}
	size := max(p.sq.array+p.sqEntries*4, p.cq.entriesAt+p.cqEntries*uint32(unsafe.Sizeof(completion{})))
	if r.rings, err = r.mapped(offsetRings, int(size)); err != nil {
		return err
	}
	if r.memory, err = r.mapped(offsetEntries, int(p.sqEntries)*int(unsafe.Sizeof(request{}))); err != nil {
		return err
	}
	word := func(at uint32) *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Pointer(&r.rings[at])) }
	r.sqHead, r.sqTail, r.cqHead, r.cqTail = word(p.sq.head), word(p.sq.tail), word(p.cq.head), word(p.cq.tail)
	r.requests = unsafe.Slice((*request)(unsafe.Pointer(&r.memory[0])), p.sqEntries)
	r.completions = unsafe.Slice((*completion)(unsafe.Pointer(&r.rings[p.cq.entriesAt])), p.cqEntries)
	places := unsafe.Slice((*uint32)(unsafe.Pointer(&r.rings[p.sq.array])), p.sqEntries)
	for i := range places {
		places[i] = uint32(i) // for good: a place has the request of its number
	}
	return nil
}

func (r *Ring) mapped(offset int64, size int) ([]byte, error) {
	b, err := unix.Mmap(r.fd, offset, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	return b, os.NewSyscallError("mmap", err)
}

// try sends a byte: a system may let a ring be made and not be used, or not for this.
func (r *Ring) try() error {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	var result [1]int32
	r.Send(int32(fds[0]), []byte{1})
	if err := r.Submit(result[:]); err != nil {
		return err
	}
	if result[0] != 1 {
		return fmt.Errorf("io_uring: a send of a byte: %w", unix.Errno(-result[0]))
	}
	return nil
}

// Len is how many sends are noted.
func (r *Ring) Len() int { return len(r.held) }

// Cap is how many may be.
func (r *Ring) Cap() int { return len(r.requests) }

// Send notes a send of p, which is some bytes and is not changed before Submit, to a socket. There are no
// more of them between two calls of Submit than Cap.
func (r *Ring) Send(fd int32, p []byte) {
	q := &r.requests[r.tail&uint32(len(r.requests)-1)]
	*q = request{
		op: opSend, fd: fd, tag: uint64(len(r.held)), length: uint32(len(p)),
		addr:     uint64(uintptr(unsafe.Pointer(unsafe.SliceData(p)))),
		msgFlags: unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL,
	}
	r.tail++
	r.held = append(r.held, p)
}

// Unsent is the result of a send that was not tried, for want of the kernel's memory above all.
const Unsent = -int32(unix.ENOBUFS)

// maxTries bounds the calls for one Submit: the kernel takes all at once, but for want of memory.
const maxTries = 4

// Submit has all that was noted be sent, and fills results, of which there is one for each, in
// the order in which they were noted: the bytes that were taken, or an errno, below 0; Unsent
// where it is to be tried otherwise. An error says that the kernel took nothing at all, and why.
func (r *Ring) Submit(results []int32) error {
	for i := range r.held {
		results[i] = Unsent
	}
	r.sqTail.Store(r.tail)
	var refused unix.Errno
	for tries := 0; r.sqHead.Load() != r.tail && tries < maxTries; tries++ {
		refused = r.enter(r.fd, r.tail-r.sqHead.Load(), 0, 0)
	}
	// Without a thread of the kernel's own nobody looks at the queue but that call, so
	// what it did not take is taken back.
	taken := r.sqHead.Load()
	left := len(r.held) - int(r.tail-taken)
	none := left == 0 && len(r.held) > 0
	r.tail = taken
	r.sqTail.Store(taken)
	for left -= r.reap(results); left > 0; left -= r.reap(results) {
		r.wait()
	}
	clear(r.held)
	r.held = r.held[:0]
	if none {
		return os.NewSyscallError("io_uring_enter", refused)
	}
	return nil
}

// reap takes the completions that are there, and returns their number.
func (r *Ring) reap(results []int32) (n int) {
	head, tail := r.cqHead.Load(), r.cqTail.Load()
	for ; head != tail; head++ {
		c := &r.completions[head&uint32(len(r.completions)-1)]
		results[c.tag] = c.result
		if c.result == -int32(unix.ENOMEM) || c.result == -int32(unix.EINTR) {
			results[c.tag] = Unsent // not the socket's fault
		}
		n++
	}
	r.cqHead.Store(head)
	return n
}

// wait waits for a completion. Sends that do not wait have theirs at once; should a
// kernel do otherwise, there is no way out but through it, as it still has the bytes: no
// time-out, and no close.
func (r *Ring) wait() {
	switch errno := r.enter(r.fd, 0, 1, enterGetEvents); errno {
	case 0, unix.EINTR:
	case unix.EAGAIN, unix.EBUSY:
		runtime.Gosched()
	default:
		panic("uring: what was sent is not told: " + errno.Error())
	}
}

// Close gives the ring back. Nothing is under way.
func (r *Ring) Close() {
	if r.memory != nil {
		_ = unix.Munmap(r.memory)
	}
	if r.rings != nil {
		_ = unix.Munmap(r.rings)
	}
	unix.Close(r.fd)
}
