package calibrate

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Blaster is the least that a server can do: each push is written to every
// stream, all its events in one write. It shows what the load tester can take.
// It delivers broadcasts only.
type Blaster struct {
	peers  []string // push URLs of blasters that get every push too
	listen int
	ep     int
	mu     struct {
		sync.Mutex
		streams []int
		id      uint64
		frame   []byte
	}
}

const blasterHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: hello\n\n"

// NewBlaster listens for streams at 127.0.0.1 and the port. Pushes come to
// ServeHTTP, at an address of the caller's.
func NewBlaster(port int, peers []string) (*Blaster, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return nil, fmt.Errorf("listen on port %d: %w", port, err)
	}
	if err := unix.Listen(fd, 4096); err != nil {
		return nil, err
	}
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	b := &Blaster{peers: peers, listen: fd, ep: ep}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return nil, err
	}
	go b.accept()
	return b, nil
}

// Port is where streams connect to.
func (b *Blaster) Port() int {
	a, err := unix.Getsockname(b.listen)
	if err != nil {
		return 0
	}
	return a.(*unix.SockaddrInet4).Port
}

// accept takes connections and answers their requests, for the process's life.
func (b *Blaster) accept() {
	events := make([]unix.EpollEvent, 256)
	var buf [4096]byte
	for {
		n, err := unix.EpollWait(b.ep, events, -1)
		if err != nil && err != unix.EINTR {
			panic(err)
		}
		for _, ev := range events[:max(n, 0)] {
			fd := int(ev.Fd)
			if fd == b.listen {
				b.acceptAll()
				continue
			}
			if n, err := unix.Read(fd, buf[:]); n <= 0 && err != unix.EAGAIN {
				b.remove(fd)
				continue
			}
			if _, err := unix.Write(fd, []byte(blasterHead)); err == nil {
				b.mu.Lock()
				b.mu.streams = append(b.mu.streams, fd)
				b.mu.Unlock()
			}
		}
	}
}

func (b *Blaster) acceptAll() {
	for {
		fd, _, err := unix.Accept4(b.listen, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
		if unix.EpollCtl(b.ep, unix.EPOLL_CTL_ADD, fd, &ev) != nil {
			_ = unix.Close(fd)
		}
	}
}

func (b *Blaster) remove(fd int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, s := range b.mu.streams {
		if s == fd {
			last := len(b.mu.streams) - 1
			b.mu.streams[i] = b.mu.streams[last]
			b.mu.streams = b.mu.streams[:last]
			break
		}
	}
	_ = unix.Close(fd)
}

// ServeHTTP takes a push and returns when it has been written to all streams.
func (b *Blaster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var wg sync.WaitGroup
	for _, p := range b.peers {
		wg.Go(func() {
			resp, err := http.Post(p, "application/json", strings.NewReader(string(body)))
			if err == nil {
				_ = resp.Body.Close()
			}
		})
	}
	if err := b.broadcast(body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
	wg.Wait()
}

func (b *Blaster) broadcast(body []byte) error {
	var push struct {
		Events []struct{ Event, Data string }
	}
	if err := json.Unmarshal(body, &push); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.mu.frame[:0]
	for _, e := range push.Events {
		b.mu.id++
		f = fmt.Appendf(f, "id: %d\nevent: %s\ndata: %s\n\n", b.mu.id, e.Event, e.Data)
	}
	b.mu.frame = f
	for _, fd := range b.mu.streams {
		writeAll(fd, f)
	}
	return nil
}

// writeAll writes p, waiting for the reader if it has to, but not for ever.
func writeAll(fd int, p []byte) {
	end := time.Now().Add(10 * time.Second)
	for len(p) > 0 && time.Now().Before(end) {
		n, err := unix.Write(fd, p)
		switch {
		case n > 0:
			p = p[n:]
		case err == unix.EAGAIN:
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 100)
		case err != unix.EINTR:
			return // gone: the accepting loop closes it
		}
	}
}
