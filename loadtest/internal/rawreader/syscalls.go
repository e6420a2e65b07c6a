//go:build linux

package rawreader

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls of this file never wait, but for the processor, so the runtime need not be told of them: that
// would cost as much as a tenth of the call, a hundred thousand times a second.

// readNow reads from a descriptor that does not block.
func readNow(fd int, p []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// eventsNow returns the events that are there.
func eventsNow(ep int, events []unix.EpollEvent) (int, error) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// yield lets other threads run that wait for this processor, if there are any.
func yield() { _, _, _ = syscall.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }
