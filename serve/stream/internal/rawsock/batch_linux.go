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

// fewSends are so few that a system call for each costs no more.
const fewSends = 1

// NewBatch makes a Batch for so many sends at a time, a power of two. The error says
// why the system has none.
func NewBatch(sends int) (*Batch, error) {
	ring, err := uring.New(sends)
	if err != nil {
		return nil, err
	}
	return &Batch{ring: ring, sends: make([]batched, 0, sends), results: make([]int32, sends)}, nil
}

// Add notes a Write of p, which is some bytes and not changed before Send. There are
// never more of them than the batch was made for.
func (b *Batch) Add(c *Conn, p []byte) { b.sends = append(b.sends, batched{c, p}) }

// Send does all that was added, and tells of each by its number, from 0, what [Conn.Write] would
// return. Nothing may be called on b within done.
func (b *Batch) Send(done func(i, n int, err error)) {
	if len(b.sends) > fewSends {
		for _, s := range b.sends {
			b.ring.Send(s.to.fd, s.p)
		}
		b.ring.Submit(b.results)
	}
	for i, s := range b.sends {
		n, err := b.result(i)
		if err == errUnsent {
			n, err = s.to.Write(s.p)
		} else {
			n, err = s.to.sent(s.p, n, err)
		}
		done(i, n, err)
	}
	clear(b.sends)
	b.sends = b.sends[:0]
}

// errUnsent says that a send is still to be done.
const errUnsent = unix.ENOBUFS

// result is what send would return for what was added as number i.
func (b *Batch) result(i int) (int, error) {
	if len(b.sends) <= fewSends {
		return 0, errUnsent
	}
	switch n := b.results[i]; {
	case n >= 0:
		return int(n), nil
	case n == -int32(unix.EAGAIN):
		return 0, nil
	case n == -int32(unix.EINTR):
		return 0, errUnsent
	default:
		return 0, unix.Errno(-n)
	}
}

// Close gives back what the batch is made of. Nothing waits to be sent.
func (b *Batch) Close() { b.ring.Close() }
