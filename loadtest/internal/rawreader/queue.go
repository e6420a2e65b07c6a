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

const queueFile = "/proc/thread-self/schedstat"

// openQueue is that of the calling thread, with queueFile. A kernel that does not count
// says 0 turns even of a thread that runs.
func openQueue(file string) queue {
	fd, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return queue{fd: -1}
	}
	q := queue{fd: fd}
	if w, ok := q.waits(); !ok || w.turns == 0 {
		q.close()
		q.fd = -1
	}
	return q
}

// tells reports whether there is something to read.
func (q *queue) tells() bool { return q.fd >= 0 }

// waits are those of a thread, since it was started.
type waits struct {
	ns    int64 // waited in all, nanoseconds
	turns int64 // that it has had of the processor
}

func (q *queue) waits() (w waits, ok bool) {
	if !q.tells() {
		return w, false
	}
	n, err := unix.Pread(q.fd, q.buf[:], 0)
	if err != nil {
		return w, false
	}
	return parseWaits(q.buf[:n])
}

// parseWaits reads three numbers: the time run, the time waited, and the turns.
func parseWaits(b []byte) (w waits, ok bool) {
	f := bytes.Fields(b)
	if len(f) < 3 {
		return w, false
	}
	ns, err := strconv.ParseInt(string(f[1]), 10, 64)
	turns, err2 := strconv.ParseInt(string(f[2]), 10, 64)
	return waits{ns, turns}, err == nil && err2 == nil
}

func (q *queue) close() {
	if q.tells() {
		_ = unix.Close(q.fd)
	}
}
