package rawsock

import (
	"golang.org/x/sys/unix"

	"github.com/spatehub/spate/serve/stream/internal/uring"
)

// Batch sends to many connections by one system call. It belongs to one goroutine at a
// time, the owner of all its connections; see [Conn].
type Batch struct {
	ring    *uring.Ring
	sends   []batched
	results []int32
}

// batched is a send that was added.
type batched struct {
	to *Conn
	p  []byte
}

// NewBatch makes a Batch for so many sends at a time, a power of two. The error says
// why the system has none.
func NewBatch(sends int) (*Batch, error) {
	ring, err := uring.New(sends)
	if err != nil {
		return nil, err
	}
	return &Batch{ring: ring, sends: make([]batched, 0, ring.Cap()), results: make([]int32, ring.Cap())}, nil
}

// Add notes a Write of p, which is some bytes and not changed before Send. It returns
// false where the batch is full.
func (b *Batch) Add(c *Conn, p []byte) bool {
	if len(b.sends) == cap(b.sends) {
		return false
	}
	b.sends = append(b.sends, batched{c, p})
	return true
}

// Send does all that was added, and tells of each by its number, from 0, what [Conn.Write] would
// return. Nothing may be called on b within done. The error says that batches do not work any more: all
// was sent one by one.
func (b *Batch) Send(done func(i, n int, err error)) (useless error) {
	if len(b.sends) > 1 { // else the call for it is no cheaper
		for _, s := range b.sends {
			b.ring.Send(s.to.fd, s.p)
		}
		useless = b.ring.Submit(b.results)
	} else {
		b.results[0] = uring.Unsent
	}
	for i, s := range b.sends {
		n, err := sendResult(b.results[i])
		if err == errUnsent {
			n, err = s.to.Write(s.p)
		} else {
			n, err = s.to.sent(s.p, n, err)
		}
		done(i, n, err)
	}
	clear(b.sends)
	b.sends = b.sends[:0]
	return useless
}

// errUnsent says that a send is still to be done.
const errUnsent = unix.Errno(-uring.Unsent)

// sendResult is what send would return.
func sendResult(n int32) (int, error) {
	switch {
	case n >= 0:
		return int(n), nil
	case n == -int32(unix.EAGAIN):
		return 0, nil
	default:
		return 0, unix.Errno(-n)
	}
}

// Close gives back what the batch is made of. Nothing waits to be sent.
func (b *Batch) Close() { b.ring.Close() }
