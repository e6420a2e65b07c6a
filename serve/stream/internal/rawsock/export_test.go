//go:build linux

package rawsock

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Descriptor returns the number that c writes to.
func (c *Conn) Descriptor() int { return int(c.fd) }

// Replay hands c's poller an event of c, as if the kernel had told it late.
func (c *Conn) Replay(mask uint32) func() {
	p, ev := c.poller, c.slot.event(mask)
	return func() {
		for _, n := range p.slots.resolve([]unix.EpollEvent{ev}, nil) {
			n.tell()
		}
	}
}

// Watched returns the number of slots in use over all pollers now reachable,
// and whether there is a poller.
func Watched() (n int, alive bool) {
	current.Lock()
	defer current.Unlock()
	if current.p == nil {
		return 0, false
	}
	current.p.slots.mu.Lock()
	defer current.p.slots.mu.Unlock()
	return current.p.slots.used, true
}

// ExpireLingers is what happens a while from now.
func ExpireLingers() { expireAt(time.Now().Add(lingerTime)) }

// SetMaxLingers sets the bound and returns the one before.
func SetMaxLingers(n int) (was int) {
	lingers.Lock()
	defer lingers.Unlock()
	was, maxLingers = maxLingers, n
	return was
}

// LingerBytes is how much of a peer's input is dropped.
const LingerBytes = lingerBytes

const (
	ConnSize = unsafe.Sizeof(Conn{})
	SlotSize = unsafe.Sizeof(slot{})
)
