package uring

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What of linux/io_uring.h is used.
const (
	opSend        = 26
	setupClamp    = 1 << 4
	setupSubmit   = 1 << 7 // IORING_SETUP_SUBMIT_ALL: one that fails does not hold up those behind
	featSingleMap = 1 << 0
	enterGet      = 1 << 0 // IORING_ENTER_GETEVENTS
	offsetRings   = 0
	offsetEntries = 0x10000000
)

// params is struct io_uring_params.
type params struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFD uint32
	_                                                                      [3]uint32
	sq                                                                     struct {
		head, tail, mask, entries, flags, dropped, array, _ uint32
		_                                                   uint64
	}
	cq struct {
		head, tail, mask, entries, overflow, entriesAt, flags, _ uint32
		_                                                        uint64
	}
}

// request is struct io_uring_sqe, as a send uses it.
type request struct {
	op, flags uint8
	priority  uint16
	fd        int32
	_         uint64
	addr      uint64
	length    uint32
	msgFlags  uint32
	tag       uint64
	_         [3]uint64
}

// completion is struct io_uring_cqe.
type completion struct {
	tag    uint64
	result int32
	_      uint32
}

// Ring is one pair of queues that are shared with the kernel. It is used by one
// goroutine at a time, on any thread.
type Ring struct {
	fd            int
	rings, memory []byte // mapped

	// Shared with the kernel, which moves sqHead as it takes requests and cqTail as it
	// adds completions; the others are ours. Each store publishes the entries before it.
	sqHead, sqTail, cqHead, cqTail *atomic.Uint32

	requests    []request
	completions []completion
	tail        uint32   // of the requests noted
	held        [][]byte // what they point to, for the garbage collector
}

// New makes a ring for so many sends at a time, a power of two. The error says why
// there is none.
func New(entries int) (*Ring, error) {
	p := params{flags: setupClamp | setupSubmit}
	fd, _, errno := syscall.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, os.NewSyscallError("io_uring_setup", errno)
	}
	r := &Ring{fd: int(fd)}
	unix.CloseOnExec(r.fd)
	if p.features&featSingleMap == 0 || int(p.sqEntries) != entries {
		r.Close()
		return nil, fmt.Errorf("io_uring of %d entries: %w", entries, unix.ENOSYS)
	}
	size := max(p.sq.array+p.sqEntries*4, p.cq.entriesAt+p.cqEntries*uint32(unsafe.Sizeof(completion{})))
	var err error
	if r.rings, err = r.mapped(offsetRings, int(size)); err == nil {
		r.memory, err = r.mapped(offsetEntries, entries*int(unsafe.Sizeof(request{})))
	}
	if err != nil {
		r.Close()
		return nil, os.NewSyscallError("mmap", err)
	}
	word := func(at uint32) *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Pointer(&r.rings[at])) }
	r.sqHead, r.sqTail, r.cqHead, r.cqTail = word(p.sq.head), word(p.sq.tail), word(p.cq.head), word(p.cq.tail)
	r.requests = unsafe.Slice((*request)(unsafe.Pointer(&r.memory[0])), entries)
	r.completions = unsafe.Slice((*completion)(unsafe.Pointer(&r.rings[p.cq.entriesAt])), p.cqEntries)
	places := unsafe.Slice((*uint32)(unsafe.Pointer(&r.rings[p.sq.array])), entries)
	for i := range places {
		places[i] = uint32(i) // for good: a place has the request of its number
	}
	r.held = make([][]byte, 0, entries)
	return r, nil
}

func (r *Ring) mapped(offset int64, size int) ([]byte, error) {
	return unix.Mmap(r.fd, offset, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
}

// Send notes a send of p, which is some bytes and is not changed before Submit, to a socket. There are no
// more of them between two calls of Submit than the ring was made for.
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

// Submit has all that was noted be sent, and fills results, of which there is one for each, in
// the order in which they were noted: the bytes that were taken, or an errno, below 0. Where the
// kernel has no room for a request, it is not tried at all, and the result is -[unix.ENOBUFS].
func (r *Ring) Submit(results []int32) {
	for i := range r.held {
		results[i] = -int32(unix.ENOBUFS)
	}
	r.sqTail.Store(r.tail)
	for tries := 0; ; tries++ {
		left := r.tail - r.sqHead.Load()
		if left == 0 || tries == maxTries {
			break
		}
		// Not the raw call: it may take a millisecond, and the collector need not wait for it.
		_, _, _ = syscall.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(left), 0, 0, 0, 0)
	}
	// Without a thread of the kernel's own nobody looks at the queue but that call, so
	// what it did not take is taken back.
	taken := r.sqHead.Load()
	sent := len(r.held) - int(r.tail-taken)
	r.tail = taken
	r.sqTail.Store(r.tail)
	for sent -= r.reap(results); sent > 0; sent -= r.reap(results) {
		r.wait()
	}
	clear(r.held)
	r.held = r.held[:0]
}

// maxTries bounds the calls for one Submit: the kernel takes all at once, but for want of memory.
const maxTries = 4

// reap takes the completions that are there, and returns their number.
func (r *Ring) reap(results []int32) (n int) {
	head, tail := r.cqHead.Load(), r.cqTail.Load()
	for ; head != tail; head++ {
		c := &r.completions[head&uint32(len(r.completions)-1)]
		results[c.tag] = c.result
		n++
	}
	r.cqHead.Store(head)
	return n
}

// wait waits for a completion. Sends that do not wait have theirs at once; should a
// kernel do otherwise, nothing goes on before, as it still has the bytes.
func (r *Ring) wait() {
	_, _, errno := syscall.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), 0, 1, enterGet, 0, 0)
	switch errno {
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
