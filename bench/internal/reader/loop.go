//go:build linux

package reader

import (
	"encoding/json"
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/spatehub/spate/bench/internal/plan"
	"github.com/spatehub/spate/bench/internal/proc"
	"github.com/spatehub/spate/loadtest/stamp"
)

// loop is the reader's one thread.
type loop struct {
	epoll    int
	progress *proc.Shared
	buf      []byte
	pending  func(now int64) (answer any, done bool) // of the request that is being carried out

	connect Connect
	plan    *plan.Plan
	conns   []conn
	normal  int // conns[:normal] read
	dialled int
	opening int // dialled, and neither open nor failed
	open    int
	failed  map[string]int
	opened  hist

	run      uint32
	known    known
	count    Counts
	latency  hist
	measured int64  // when Measure came
	cpu      int64  // used until then
	last     int64  // last time something was received
	told     int64  // last time progress was told
	toldAll  uint64 // deliveries by then

	wire atomic.Int64 // bytes that came over the network for bridged streams, which their goroutines add
}

// bufferSize is the most that is read from one socket before the others have their turn.
const bufferSize = 512 << 10

func wall() int64 { return time.Now().UnixNano() }

// Main is the process of a reader. It returns when the parent hangs up.
func Main() error {
	runtime.LockOSThread()
	var setup Setup
	if err := proc.Setup(&setup); err != nil {
		return err
	}
	progress, err := proc.OpenShared(setup.Progress)
	if err != nil {
		return err
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	control := proc.Requests()
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: controlToken}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, int(control.Fd()), &ev); err != nil {
		return err
	}
	l := &loop{epoll: epoll, progress: progress, buf: make([]byte, bufferSize)}
	return l.serve(json.NewDecoder(control), json.NewEncoder(proc.Answers()))
}

// controlToken is the event of the requests' descriptor; streams have their number.
const controlToken = -1

// serve runs until the requests end.
func (l *loop) serve(requests *json.Decoder, answers *json.Encoder) error {
	events := make([]unix.EpollEvent, 512)
	for untold := false; ; {
		wait := -1
		if l.pending != nil || untold {
			wait = 1
		}
		for _, ev := range events[:l.wait(events, wait)] {
			if ev.Fd != controlToken {
				l.ready(int(ev.Fd))
				continue
			}
			var r Request
			if err := requests.Decode(&r); err != nil {
				return nil // the parent is gone or done
			}
			if err := l.begin(r); err != nil {
				l.pending = func(int64) (any, bool) { return proc.Fault{Error: err.Error()}, true }
			}
		}
		now := wall()
		untold = !l.tell(now)
		if l.pending != nil {
			if answer, done := l.pending(now); done {
				l.pending = nil
				if err := answers.Encode(answer); err != nil {
					return fmt.Errorf("answer: %w", err)
				}
			}
		}
	}
}

// wait returns the number of events that have come, at once if there are any.
func (l *loop) wait(events []unix.EpollEvent, milliseconds int) int {
	p, n := uintptr(unsafe.Pointer(&events[0])), uintptr(len(events))
	if k, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epoll), p, n, 0, 0, 0); errno == 0 && k > 0 {
		return int(k)
	}
	k, err := unix.EpollWait(l.epoll, events, milliseconds)
	if err != nil {
		return 0 // interrupted
	}
	return k
}

// ready serves one stream.
func (l *loop) ready(n int) {
	c := &l.conns[n]
	switch c.state {
	case connecting:
		l.connected(c, n)
	case awaiting, open:
		l.readable(c, n)
	case closed: // by an event before this one
	}
}

// tell stores what every stream has had, every now and then; it reports whether there is no more to tell.
func (l *loop) tell(now int64) bool {
	if l.plan == nil || l.plan.Kind != stamp.Broadcast || l.count.Deliveries == l.toldAll {
		return true
	}
	if now-l.told < 200*int64(l.normal) {
		return false
	}
	l.told, l.toldAll = now, l.count.Deliveries
	low := ^uint64(0)
	for i := range l.conns[:l.normal] {
		if c := &l.conns[i]; c.state == open {
			low = min(low, c.check.next-1)
		}
	}
	if low != ^uint64(0) {
		l.progress.Store(low)
	}
	return true
}
