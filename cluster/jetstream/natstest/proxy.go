package natstest

import (
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// Proxy is the way of one hub to one server, and can be cut: connections stay open,
// and nothing passes. Or it is slow.
type Proxy struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	open  *sync.Cond
	cut   bool
	delay time.Duration
	ended bool
	conns map[net.Conn]bool
}

// NewProxy starts a proxy, which ends with the test.
func NewProxy(t TB, to string) *Proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, to: strings.TrimPrefix(to, "nats://"), conns: map[net.Conn]bool{}}
	p.open = sync.NewCond(&p.mu)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		p.ended = true
		p.open.Broadcast()
		for c := range p.conns {
			c.Close()
		}
		p.mu.Unlock()
		running.Wait()
	})
	return p
}

// URL is what a client connects to.
func (p *Proxy) URL() string { return "nats://" + p.listener.Addr().String() }

// Cut cuts the way, or opens it again.
func (p *Proxy) Cut(cut bool) {
	p.mu.Lock()
	p.cut = cut
	p.open.Broadcast()
	p.mu.Unlock()
}

// Delay has everything pass so much later, in each direction.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	p.delay = d
	p.mu.Unlock()
}

// pass waits while the way is cut. It returns false once the proxy has ended.
func (p *Proxy) pass() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.cut && !p.ended {
		p.open.Wait()
	}
	return !p.ended
}

func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return false
	}
	p.conns[c] = true
	return true
}

func (p *Proxy) serve(c net.Conn) {
	defer c.Close()
	if !p.keep(c) || !p.pass() {
		return
	}
	up, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer up.Close()
	if !p.keep(up) {
		return
	}
	var both sync.WaitGroup
	pipe := func(from, to net.Conn) {
		defer from.Close()
		defer to.Close()
		type piece struct {
			data []byte
			due  time.Time
		}
		pieces := make(chan piece, 1024)
		both.Go(func() {
			defer from.Close()
			defer to.Close()
			for one := range pieces {
				if wait := time.Until(one.due); wait > 0 {
					<-time.After(wait)
				}
				if !p.pass() {
					break
				}
				if _, err := to.Write(one.data); err != nil {
					break
				}
			}
			for range pieces { // so that the reader ends
			}
		})
		defer close(pieces)
		buf := make([]byte, 64<<10)
		for {
			n, err := from.Read(buf)
			if n > 0 {
				p.mu.Lock()
				due := time.Now().Add(p.delay)
				p.mu.Unlock()
				pieces <- piece{slices.Clone(buf[:n]), due}
			}
			if err != nil {
				return
			}
		}
	}
	both.Go(func() { pipe(c, up) })
	both.Go(func() { pipe(up, c) })
	both.Wait()
	p.mu.Lock()
	delete(p.conns, c)
	delete(p.conns, up)
	p.mu.Unlock()
}
