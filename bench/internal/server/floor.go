//go:build linux

package server

import (
	"bytes"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/spatehub/spate/loadtest/stamp"
	"github.com/spatehub/spate/wire"
)

// floor is the least that a server can do: one goroutine, one non-blocking send per event and client, no queue but the
// frames themselves. With joined, the events that wait for a client go out in one send. With chunked, it sends the bytes
// that spate does: a chunk for each event, and IDs as long as a hub's, so that what is left between the two is the
// servers' and not the bytes'.
//
// Publish and Flush run on the publisher's goroutine; connections come in from the acceptor's through fresh.
type floor struct {
	joined  bool
	chunked bool

	mu    sync.Mutex
	fresh []floorClient
	some  atomic.Bool // fresh has some: stored with the lock held, read without it before each event

	clients []floorClient
	users   map[uint32]int   // position in clients
	topics  map[uint32][]int // positions in clients

	// The frames that not every client has yet: frames[at-base:] is what a client at stream offset at still needs. ends
	// are the offsets at which they end; firstEnd is the number of the first of them.
	frames   []byte
	base     uint64
	ends     []uint64
	firstEnd uint64

	id      uint64
	one     []byte // a frame for some clients only
	plain   []byte // a frame before it is a chunk
	dropped int
}

// floorClient is a descriptor and how far it has got.
type floorClient struct {
	fd    int
	at    uint64 // stream offset sent up to
	event uint64 // number of the first frame that ends after at
	user  uint32
	topic uint32
	gone  bool
}

// floorLag bounds the bytes that are kept for one client: beyond it the client is given up.
const floorLag = 8 << 20

const (
	floorHead   = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
	plainEnd    = "Connection: close\r\n\r\n"
	chunkedEnd  = "Transfer-Encoding: chunked\r\n\r\n"
	hubsFirstID = 7_000_000_000_000_000 // of the length of a hub's IDs, until the year 2041
)

func newFloor(joined bool) *floor {
	return &floor{joined: joined, users: map[uint32]int{}, topics: map[uint32][]int{}}
}

func newChunkedFloor(joined bool) *floor {
	f := newFloor(joined)
	f.chunked, f.id = true, hubsFirstID
	return f
}

// head is the response head.
func (f *floor) head() string {
	if f.chunked {
		return floorHead + chunkedEnd
	}
	return floorHead + plainEnd
}

// Serve implements [Server].
func (f *floor) Serve(ln net.Listener) error {
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		client, err := admit(c.(*net.TCPConn), f.head())
		if err != nil {
			continue // the reader counts it
		}
		f.mu.Lock()
		f.fresh = append(f.fresh, client)
		f.some.Store(true)
		f.mu.Unlock()
	}
}

// admit answers the request and keeps nothing but a bare descriptor.
func admit(c *net.TCPConn, head string) (client floorClient, err error) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	var buf [2048]byte
	n := 0
	for !bytes.Contains(buf[:n], []byte("\r\n\r\n")) {
		if n == len(buf) {
			return client, fmt.Errorf("request head too long")
		}
		k, err := c.Read(buf[n:])
		if err != nil {
			return client, err
		}
		n += k
	}
	if _, err := c.Write([]byte(head)); err != nil {
		return client, err
	}
	target, _, _ := strings.Cut(string(buf[:n]), " HTTP/")
	client.user = queryNumber(target, "uid=u")
	client.topic = queryNumber(target, "topic=t")
	raw, err := c.SyscallConn()
	if err != nil {
		return client, err
	}
	var dupErr error
	err = raw.Control(func(fd uintptr) {
		client.fd, dupErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err == nil {
		err = dupErr
	}
	return client, err
}

func queryNumber(target, name string) uint32 {
	_, rest, _ := strings.Cut(target, name)
	end := 0
	for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
		end++
	}
	n, _ := strconv.ParseUint(rest[:end], 10, 32)
	return uint32(n)
}

// take moves the connections that have come in to where they are served.
func (f *floor) take() {
	f.mu.Lock()
	fresh := f.fresh
	f.fresh = nil
	f.some.Store(false)
	f.mu.Unlock()
	for _, c := range fresh {
		c.at, c.event = f.end(), f.firstEnd+uint64(len(f.ends))
		f.users[c.user] = len(f.clients)
		f.topics[c.topic] = append(f.topics[c.topic], len(f.clients))
		f.clients = append(f.clients, c)
	}
}

// end is the stream offset after the last frame.
func (f *floor) end() uint64 { return f.base + uint64(len(f.frames)) }

// Publish implements [Server].
func (f *floor) Publish(kind stamp.Kind, index uint32, data []byte) error {
	if f.some.Load() { // they are owed this event
		f.take()
	}
	f.id++
	switch kind {
	case stamp.Broadcast:
		f.frames = f.appendFrame(f.frames, data)
		f.ends = append(f.ends, f.end())
		if !f.joined {
			f.Flush()
		}
	case stamp.User:
		f.one = f.appendFrame(f.one[:0], data)
		if at, ok := f.users[index]; ok {
			f.sendOne(&f.clients[at])
		}
	case stamp.Topic:
		f.one = f.appendFrame(f.one[:0], data)
		for _, at := range f.topics[index] {
			f.sendOne(&f.clients[at])
		}
	}
	return nil
}

// appendFrame encodes an event just as the other servers do.
func (f *floor) appendFrame(dst, data []byte) []byte {
	if f.chunked {
		f.plain = f.appendPlain(f.plain[:0], data)
		return wire.AppendChunk(dst, f.plain)
	}
	return f.appendPlain(dst, data)
}

func (f *floor) appendPlain(dst, data []byte) []byte {
	dst = append(dst, "id: "...)
	dst = strconv.AppendUint(dst, f.id, 10)
	dst = append(dst, "\nevent: message\ndata: "...)
	dst = append(dst, data...)
	return append(dst, "\n\n"...)
}

// sendOne sends f.one. There is nowhere to keep what the socket does not take, so the client is given up.
func (f *floor) sendOne(c *floorClient) {
	if c.gone {
		return
	}
	if n := send(c.fd, f.one); n != len(f.one) {
		f.drop(c)
	}
}

func (f *floor) drop(c *floorClient) {
	c.gone = true
	f.dropped++
	unix.Close(c.fd)
}

// Flush implements [Flusher]: one sweep over all clients.
func (f *floor) Flush() (pending bool) {
	f.take()
	if len(f.frames) == 0 {
		return false
	}
	end := f.end()
	low := end
	for i := range f.clients {
		c := &f.clients[i]
		if c.gone || c.at == end {
			continue
		}
		if f.joined {
			f.sendAll(c)
		} else {
			f.sendEach(c)
		}
		if c.at < end && !c.gone {
			if end-c.at > floorLag {
				f.drop(c)
				continue
			}
			pending = true
			low = min(low, c.at)
		}
	}
	f.release(low)
	return pending
}

// sendAll offers everything at once.
func (f *floor) sendAll(c *floorClient) {
	n := send(c.fd, f.frames[c.at-f.base:])
	if n < 0 {
		f.drop(c)
		return
	}
	c.at += uint64(n)
}

// sendEach offers one frame at a time, until the socket is full.
func (f *floor) sendEach(c *floorClient) {
	for c.event-f.firstEnd < uint64(len(f.ends)) {
		end := f.ends[c.event-f.firstEnd]
		n := send(c.fd, f.frames[c.at-f.base:end-f.base])
		if n < 0 {
			f.drop(c)
			return
		}
		if c.at += uint64(n); c.at < end {
			return
		}
		c.event++
	}
}

// release forgets the frames before low, once there are enough of them to be worth the copy.
func (f *floor) release(low uint64) {
	free := low - f.base
	if free < uint64(len(f.frames)) && free < floorLag {
		return
	}
	f.frames = f.frames[:copy(f.frames, f.frames[free:])]
	f.base = low
	k := 0
	for k < len(f.ends) && f.ends[k] <= low {
		k++
	}
	f.ends = f.ends[:copy(f.ends, f.ends[k:])]
	f.firstEnd += uint64(k)
}

// Counters implements [Counter]. The loop has no way to hear of hang-ups, so it looks for them here.
func (f *floor) Counters() map[string]float64 {
	f.take()
	left := f.clients[:0]
	clear(f.users)
	clear(f.topics)
	for _, c := range f.clients {
		if c.gone || hungUp(c.fd) {
			if !c.gone {
				unix.Close(c.fd)
			}
			continue
		}
		f.users[c.user] = len(left)
		f.topics[c.topic] = append(f.topics[c.topic], len(left))
		left = append(left, c)
	}
	f.clients = left
	return map[string]float64{"clients": float64(len(left)), "given up": float64(f.dropped)}
}

// hungUp reports whether the peer has closed its side.
func hungUp(fd int) bool {
	var b [1]byte
	n, _, err := unix.Recvfrom(fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return n == 0 && err == nil || err == unix.ECONNRESET
}

// send returns how many bytes a socket took, 0 if it is full, -1 if it is broken.
func send(fd int, p []byte) int {
	n, _, e := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	switch e {
	case 0:
		return int(n)
	case unix.EAGAIN, unix.EINTR:
		return 0
	}
	return -1
}
