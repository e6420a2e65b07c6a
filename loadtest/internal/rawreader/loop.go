//go:build linux

package rawreader

import (
	"encoding/binary"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spatehub/spate/loadtest/internal/clock"
	"github.com/spatehub/spate/loadtest/internal/fleet"
	"github.com/spatehub/spate/loadtest/internal/session"
)

const (
	readBuffer = 256 << 10
	batch      = 512 // epoll events taken at once
	wakeToken  = -1  // the index that stands for the event descriptor
	sweepEvery = 250 * time.Millisecond

	giveWayEvery = int64(50 * time.Microsecond)
)

// loop is one thread that owns a share of the streams. Fields are its own
// goroutine's, but for inbox.
type loop struct {
	part      *fleet.Part
	addrs     *fleet.Addresses
	index, of int // the loop's number, and how many there are
	ep, wake  int

	streams []stream
	reader  *session.Reader
	buf     []byte // every read of the loop goes here
	timers  timers
	again   *fleet.Again
	free    []int   // streams for arrivals
	waiting []int64 // due times of arrivals that no stream was free for
	sweep   int64   // when to look for connections that take too long
	stopped bool

	lastRead int64 // time of the last read
	gaveWay  int64 // when the loop gave way last
	yield    func()

	queue  queue
	looked int64 // when the loop looked last how long it had waited for the processor
	waits  waits // what it found

	since, waited int64 // for the busy share: start of the span, and time spent waiting in it

	inbox struct {
		sync.Mutex
		work   []func()
		closed bool
	}
}

// post has fn run by the loop's goroutine, or at once if the loop has ended.
func (l *loop) post(fn func()) {
	l.inbox.Lock()
	if l.inbox.closed {
		l.inbox.Unlock()
		fn()
		return
	}
	l.inbox.work = append(l.inbox.work, fn)
	first := len(l.inbox.work) == 1
	l.inbox.Unlock()
	if first {
		var one [8]byte
		binary.NativeEndian.PutUint64(one[:], 1)
		_, _ = unix.Write(l.wake, one[:]) // fails only if the loop is awake anyway
	}
}

// do is post, and returns when fn has run.
func (l *loop) do(fn func()) {
	done := make(chan struct{})
	l.post(func() {
		defer close(done)
		fn()
	})
	<-done
}

// run is the loop's goroutine. The thread is its own, so that its sleeping in
// epoll_wait keeps nothing else waiting.
func (l *loop) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	clock.Patient()
	l.queue = openQueue(queueFile)
	defer l.queue.close()
	l.waits, _ = l.queue.waits() // the thread may have served others before
	events := make([]unix.EpollEvent, batch)
	l.since = l.now()
	l.looked = l.since
	for !l.stopped {
		n, err := eventsNow(l.ep, events)
		if n == 0 {
			from := l.now()
			n, err = unix.EpollWait(l.ep, events, l.timeout(from))
			l.waited += l.now() - from
		}
		if err != nil && err != unix.EINTR {
			panic("epoll_wait on an instance of our own: " + err.Error())
		}
		for i := range max(n, 0) {
			l.handle(&events[i])
			l.giveWay()
		}
		l.runTimers()
	}
	l.end()
}

// end closes everything and runs what is still posted.
func (l *loop) end() {
	for j := range l.streams {
		if s := &l.streams[j]; s.fd >= 0 {
			l.hangUp(s, true, "")
		}
	}
	l.inbox.Lock()
	work := l.inbox.work
	l.inbox.work, l.inbox.closed = nil, true
	l.inbox.Unlock()
	for _, fn := range work {
		fn()
	}
}

// giveWay lets a publisher run that should have by now, and again until it has: it may
// take more than one thread to wake it.
func (l *loop) giveWay() {
	if l.lastRead-l.gaveWay > giveWayEvery && l.part.Env.Clock.Overdue(l.lastRead) > 0 {
		l.gaveWay = l.lastRead
		l.yield()
	}
}

// lookWaits counts how long the loop waited for the processor before each turn that it
// has had since it looked last, on average: what came meanwhile was read that much late.
// It counts once for each LagEvery of that time, as starved loops have few turns.
func (l *loop) lookWaits(now int64) {
	spans := (now - l.looked) / int64(fleet.LagEvery)
	if spans < 1 {
		return
	}
	l.looked = now
	if w, ok := l.queue.waits(); ok {
		l.reader.Stats.Lag.RecordN((w.ns-l.waits.ns)/max(1, w.turns-l.waits.turns), spans)
		l.waits = w
	}
}

func (l *loop) now() int64 { return l.part.Env.Clock.Now() }

// timeout is how long to wait, in milliseconds, rounded up.
func (l *loop) timeout(now int64) int {
	wait := int64(sweepEvery)
	if len(l.timers) > 0 {
		wait = min(wait, l.timers[0].at-now)
	}
	return int((max(wait, 0) + int64(time.Millisecond) - 1) / int64(time.Millisecond))
}

// handle serves one epoll event. An event of a connection that has been closed
// since is told by the generation.
func (l *loop) handle(ev *unix.EpollEvent) {
	if ev.Fd == wakeToken {
		l.takeInbox()
		return
	}
	s := &l.streams[ev.Fd]
	if s.gen != ev.Pad || s.fd < 0 {
		return
	}
	switch s.state {
	case connecting:
		l.connected(int(ev.Fd), s)
	case sending:
		l.send(int(ev.Fd), s)
	case awaitingHead, streaming:
		if !l.wants(s) {
			l.unwanted(int(ev.Fd), s, ev.Events)
			return
		}
		l.read(int(ev.Fd), s, l.buf)
	}
}

func (l *loop) takeInbox() {
	var counter [8]byte
	_, _ = unix.Read(l.wake, counter[:])
	l.inbox.Lock()
	work := l.inbox.work
	l.inbox.work = nil
	l.inbox.Unlock()
	for _, fn := range work {
		fn()
	}
}

// runTimers connects streams again, lets slow ones read, and gives up
// connections that take too long.
func (l *loop) runTimers() {
	now := l.now()
	l.lookWaits(now)
	for len(l.timers) > 0 && l.timers[0].at <= now {
		t := l.timers.pop()
		s := &l.streams[t.stream]
		if s.gen != t.gen {
			continue
		}
		switch s.state {
		case idle:
			l.connect(int(t.stream))
		case streaming:
			l.readSlowly(int(t.stream), s)
		}
	}
	if now < l.sweep {
		return
	}
	l.sweep = now + int64(sweepEvery)
	for j := range l.streams {
		s := &l.streams[j]
		if (s.state == connecting || s.state == sending || s.state == awaitingHead) && now > s.deadline {
			doing := "connect"
			if s.state != connecting {
				doing = "response head"
			}
			l.fail(j, s, doing+": timed out")
		}
	}
}

// wakeAt connects stream j again after d.
func (l *loop) wakeAt(j int, s *stream, d time.Duration) {
	if !l.stopped {
		l.timers.push(timer{at: l.now() + int64(d), stream: int32(j), gen: s.gen})
	}
}

// arrive asks for a finite stream that was due at due.
func (l *loop) arrive(due int64) {
	switch n := len(l.free); {
	case n > 0:
		j := l.free[n-1]
		l.free = l.free[:n-1]
		l.streams[j].Due = due
		l.connect(j)
	case len(l.waiting) < fleet.MaxWaiting:
		l.waiting = append(l.waiting, due)
	default:
		l.reader.Stats.Unstarted++
	}
}

// freed makes a stream that has ended serve the next request that waits.
func (l *loop) freed(j int) {
	if l.part.Config.Arrivals == "" {
		return
	}
	if len(l.waiting) == 0 || l.part.Env.Quiet.Load() {
		l.free = append(l.free, j)
		return
	}
	l.streams[j].Due = l.waiting[0]
	l.waiting = l.waiting[1:]
	l.connect(j)
}

// collect moves the loop's counts into st.
func (l *loop) collect(st *session.Stats) {
	now := l.now()
	r := &l.reader.Stats
	if l.part.Env.Quiet.Load() {
		r.Unstarted += int64(len(l.waiting))
		l.waiting = nil
	}
	r.Span = now - l.since
	r.Busy = max(0, r.Span-l.waited)
	l.since, l.waited = now, 0
	st.Merge(r)
	r.Reset()
}
