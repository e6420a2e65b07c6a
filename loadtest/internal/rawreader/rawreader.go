//go:build linux

// Package rawreader reads very many plain HTTP/1.1 event streams in few
// threads: bare descriptors, one epoll instance and one read buffer per loop,
// nothing per stream but its session. It is what lets one process hold 15,000
// streams in less memory than net/http needs for 2,000.
package rawreader

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spatehub/spate/loadtest/internal/fleet"
	"github.com/spatehub/spate/loadtest/internal/session"
)

// Transport implements fleet.Transport. Stream i belongs to loop i modulo the
// number of loops, and only that loop's goroutine touches it.
type Transport struct {
	loops     []*loop
	arrivals  atomic.Uint64
	wg        sync.WaitGroup
	countsLag bool
}

// New makes the sessions of the part's streams and starts the loops.
func New(p *fleet.Part, addrs *fleet.Addresses) (*Transport, error) {
	n := p.Config.Loops
	q := openQueue(queueFile)
	t := &Transport{countsLag: q.tells()}
	q.close()
	for k := range n {
		l, err := newLoop(p, addrs, k, n)
		if err != nil {
			t.closeDescriptors()
			return nil, err
		}
		t.loops = append(t.loops, l)
	}
	p.Sessions(func(i int, s session.Session) { t.loops[i%n].streams[i/n].Session = s })
	for _, l := range t.loops {
		t.wg.Go(l.run)
	}
	return t, nil
}

// Open implements fleet.Transport.
func (t *Transport) Open(lo, hi int) {
	n := len(t.loops)
	for k, l := range t.loops {
		first := lo + (k-lo%n+n)%n
		l.post(func() {
			for i := first; i < hi; i += n {
				l.connect(i / n)
			}
		})
	}
}

// Drop implements fleet.Transport.
func (t *Transport) Drop(streams []int, away time.Duration) {
	if len(streams) == 0 {
		return
	}
	n := len(t.loops)
	for k, l := range t.loops {
		l.post(func() {
			for _, i := range streams {
				if i%n == k {
					l.drop(i/n, away)
				}
			}
		})
	}
}

// Retire implements fleet.Transport.
func (t *Transport) Retire(lo, hi int) {
	n := len(t.loops)
	for k, l := range t.loops {
		l.post(func() {
			for i := lo; i < hi; i++ {
				if i%n == k {
					l.retire(i / n)
				}
			}
		})
	}
}

// Arrive implements fleet.Transport: the loops take turns.
func (t *Transport) Arrive(due int64) {
	l := t.loops[t.arrivals.Add(1)%uint64(len(t.loops))]
	l.post(func() { l.arrive(due) })
}

// Collect implements fleet.Transport.
func (t *Transport) Collect(s *session.Stats) {
	for _, l := range t.loops {
		l.do(func() { l.collect(s) })
	}
}

// CountsLag implements fleet.Transport: the loops look how long they were kept from the
// processor, where the kernel tells.
func (t *Transport) CountsLag() bool { return t.countsLag }

// Each implements fleet.Transport.
func (t *Transport) Each(fn func(i int, s *session.Session)) {
	var wg sync.WaitGroup
	for k, l := range t.loops {
		wg.Go(func() {
			l.do(func() {
				for j := range l.streams {
					fn(j*len(t.loops)+k, &l.streams[j].Session)
				}
			})
		})
	}
	wg.Wait()
}

// Close implements fleet.Transport.
func (t *Transport) Close() {
	for _, l := range t.loops {
		l.post(func() { l.stopped = true })
	}
	t.wg.Wait()
	t.closeDescriptors()
}

func (t *Transport) closeDescriptors() {
	for _, l := range t.loops {
		_ = unix.Close(l.ep)
		_ = unix.Close(l.wake)
	}
}

// newLoop makes loop k of n.
func newLoop(p *fleet.Part, addrs *fleet.Addresses, k, n int) (*loop, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create an epoll instance: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(ep)
		return nil, fmt.Errorf("create an event descriptor: %w", err)
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: wakeToken}
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, wake, &ev); err != nil {
		_ = unix.Close(ep)
		_ = unix.Close(wake)
		return nil, fmt.Errorf("watch an event descriptor: %w", err)
	}
	l := &loop{
		part: p, addrs: addrs, index: k, of: n, ep: ep, wake: wake, yield: yield,
		buf:     make([]byte, readBuffer),
		streams: make([]stream, (p.Len()-k+n-1)/n),
		reader:  session.NewReader(p.Env),
		again:   fleet.NewAgain(p),
	}
	for i := range l.streams {
		l.streams[i].fd = -1
		if p.Config.Arrivals != "" {
			l.free = append(l.free, i)
		}
	}
	return l, nil
}
