//go:build linux

package rawreader

import (
	"bytes"
	"strconv"

	"golang.org/x/sys/unix"
)

// queue tells how long a thread has waited for a processor while it could have run.
type queue struct {
	fd  int // -1: this kernel does not tell
	buf [96]byte
}

// openQueue is that of the calling thread.
func openQueue() queue {
	fd, err := unix.Open("/proc/thread-self/schedstat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		fd = -1
	}
	return queue{fd: fd}
}

// waited is the time waited so far, in nanoseconds.
func (q *queue) waited() (ns int64, ok bool) {
	if q.fd < 0 {
		return 0, false
	}
	n, err := unix.Pread(q.fd, q.buf[:], 0)
	if err != nil {
		return 0, false
	}
	return parseQueue(q.buf[:n])
}

// parseQueue takes the second of three numbers: the time run, the time waited, and the
// number of turns.
func parseQueue(b []byte) (ns int64, ok bool) {
	f := bytes.Fields(b)
	if len(f) < 2 {
		return 0, false
	}
	ns, err := strconv.ParseInt(string(f[1]), 10, 64)
	return ns, err == nil
}

func (q *queue) close() {
	if q.fd >= 0 {
		_ = unix.Close(q.fd)
	}
}
