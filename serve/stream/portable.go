package stream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/bytebufferpool"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/ringbuf"
)

// Bounds of what waits between a shard and the goroutine of a portable stream.
// The hub keeps everything beyond: this queue only has to keep the goroutine
// busy while the shard is elsewhere.
const (
	portableWrites = 64        // writes of the shard
	portableBytes  = 256 << 10 // their bytes, those being written included
)

// output is where the goroutine of a portable stream writes.
type output interface {
	// send writes p out to the peer; it may block.
	send(p []byte) error
	// expire makes a send that blocks, and all later ones, fail. It may be
	// called beside send.
	expire()
}

// portableSink passes bytes from the shard to the goroutine of the request.
type portableSink struct {
	queue *ringbuf.Queue[*bytebufferpool.ByteBuffer]

	// waiting is the bytes in queue and in the write under way. The shard adds
	// before it pushes, the goroutine subtracts once they are written.
	waiting atomic.Int64

	// full says that the shard waits for Writable. The shard sets it and then
	// looks for room once more; the goroutine makes room and then looks at it.
	// One of the two must see the other. Whoever clears it owes the Writable.
	full atomic.Bool

	// hopeless says that what waits need not be written any more. The shard
	// sets it before it closes queue.
	hopeless atomic.Bool

	guard writeGuard
}

// buffers lends the copies that wait for the goroutines of portable streams.
var buffers bytebufferpool.Pool

// Write implements [engine.Sink]: it copies as much of p as there is room for.
func (s *portableSink) Write(p []byte) (int, error) {
	n := s.offer(p)
	if n == len(p) {
		return n, nil
	}
	s.full.Store(true)
	return n + s.offer(p[n:]), nil // a Writable too many does no harm
}

// offer queues the beginning of p that there is room for.
func (s *portableSink) offer(p []byte) int {
	n := min(int64(len(p)), portableBytes-s.waiting.Load())
	if n <= 0 || s.queue.Len() == s.queue.Cap() {
		return 0
	}
	b := buffers.Get()
	b.Set(p[:n])
	s.waiting.Add(n)
	if !s.queue.TryPush(b) {
		s.waiting.Add(-n)
		buffers.Put(b)
		return 0
	}
	return int(n)
}

// Close implements [engine.Sink]: the goroutine writes what waits and ends, soon.
func (s *portableSink) Close(reason error) {
	if hopeless(reason) {
		s.hopeless.Store(true)
		s.guard.expireNow()
	} else {
		s.guard.hurry()
	}
	s.queue.Close()
}

// pump writes first to out, then takes the seat with a portable sink and writes
// what comes, until the hub closes the stream or the request's context ends. The
// hub has let go of the sink when it returns.
func (c *config) pump(r *http.Request, out output, first []byte, hub *engine.Hub, seat *engine.Seat, limit limit) {
	defer limit.release()
	s := &portableSink{queue: ringbuf.NewQueue[*bytebufferpool.ByteBuffer](portableWrites)}
	s.guard.start(out, c.silence(hub))
	defer s.guard.end()

	if len(first) > 0 {
		if err := s.guard.send(out, first, &s.hopeless); err != nil {
			return
		}
	}
	by := overResponse(r)
	by.begin()
	defer by.end()
	c.usePeer(seat, r, by)
	subscriber, err := seat.Take(s)
	if err != nil { // closed since admit; the client comes back
		return
	}
	var l leash
	l.tie(limit, subscriber)
	defer l.loose()
	gone := error(engine.ErrHangup) // also where a wrapper of the writer panics
	defer func() {
		if gone != nil {
			subscriber.Hangup(gone)
		}
		s.discard()
	}()
	gone = s.run(r.Context(), out, subscriber)
}

// run writes until the hub has closed the stream (nil) or the peer is gone. A
// context that has come to its deadline is no peer's end: then the leash sees to
// it that the hub closes the stream.
func (s *portableSink) run(ctx context.Context, out output, subscriber engine.Subscriber) error {
	for {
		b, err := s.queue.Pop(ctx)
		switch {
		case errors.Is(err, ringbuf.ErrClosed):
			return nil
		case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
			ctx = context.WithoutCancel(ctx)
			continue
		case err != nil:
			return engine.ErrHangup
		}
		s.join(b)
		n := int64(len(b.B))
		err = s.guard.send(out, b.B, &s.hopeless)
		buffers.Put(b)
		s.waiting.Add(-n)
		if err != nil {
			return err
		}
		// All that was there is written, so this is far below half.
		if s.full.Load() && s.full.CompareAndSwap(true, false) {
			subscriber.Writable()
		}
	}
}

// join appends to b what else waits: one write, and one flush, for all.
func (s *portableSink) join(b *bytebufferpool.ByteBuffer) {
	for {
		next, ok := s.queue.TryPop()
		if !ok {
			return
		}
		b.B = append(b.B, next.B...)
		buffers.Put(next)
	}
}

// discard gives back what nobody will write, until the shard has let go.
func (s *portableSink) discard() {
	for {
		b, err := s.queue.Pop(context.Background())
		if err != nil {
			return
		}
		s.waiting.Add(-int64(len(b.B)))
		buffers.Put(b)
	}
}

// writeGuard makes a send fail that takes too long, or that the shard calls off.
// The deadline is set by a timer only when it is due: setting it for each write
// would cost HTTP/2 two messages a write, and there a deadline that passes while
// nothing is written ends the stream.
type writeGuard struct {
	limit time.Duration // of one send; ≤ 0: none
	timer *time.Timer   // calls fire

	// last says that lastTimeout bounds a send. The shard sets it before it sets
	// the timer, and send looks at it after it has set the timer: whichever is
	// last, the bound holds.
	last atomic.Bool

	expired atomic.Bool // set before out expires: why a send then fails

	mu  sync.Mutex // held while out expires, so that end can wait for it
	out output     // nil once the request is over: out may not be used then
}

func (g *writeGuard) start(out output, limit time.Duration) {
	g.out, g.limit = out, limit
	// A timer that is stopped at once: fire is armed by send and expireNow.
	g.timer = time.AfterFunc(time.Hour, g.fire)
	g.timer.Stop()
}

// send is out.send under the time limit. calledOff is looked at after the timer
// is set, as expireNow comes after it is set: whichever timer setting is last,
// the send ends.
func (g *writeGuard) send(out output, p []byte, calledOff *atomic.Bool) error {
	if g.limit > 0 {
		g.timer.Reset(g.limit)
		defer g.timer.Stop()
	}
	if g.last.Load() {
		g.timer.Reset(g.lastLimit())
	}
	if calledOff.Load() {
		return engine.ErrStalled
	}
	err := out.send(p)
	if err != nil && g.expired.Load() {
		return fmt.Errorf("%w: %w", engine.ErrStalled, err)
	}
	return err
}

// lastTimeout bounds a send once the hub has closed the connection: the request
// waits for nothing else any more.
const lastTimeout = 5 * time.Second

func (g *writeGuard) lastLimit() time.Duration {
	if g.limit > 0 {
		return min(g.limit, lastTimeout)
	}
	return lastTimeout
}

// hurry bounds the send under way, and those to come, by lastTimeout.
func (g *writeGuard) hurry() {
	g.last.Store(true)
	g.timer.Reset(g.lastLimit())
}

// expireNow ends a send under way without waiting for it.
func (g *writeGuard) expireNow() { g.timer.Reset(0) }

func (g *writeGuard) fire() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.out != nil {
		g.expired.Store(true)
		g.out.expire()
	}
}

// end makes out unreachable: the server uses it for the next request.
func (g *writeGuard) end() {
	g.timer.Stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.out = nil
}

// canFlush reports whether what is written can be pushed out at once.
func canFlush(w http.ResponseWriter) bool {
	switch innermost(w).(type) {
	case http.Flusher, interface{ FlushError() error }:
		return true
	}
	return false
}

// responseOutput writes a stream to a ResponseWriter.
type responseOutput struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

func (o responseOutput) send(p []byte) error {
	if _, err := o.w.Write(p); err != nil {
		return err
	}
	return o.rc.Flush()
}

func (o responseOutput) expire() { _ = o.rc.SetWriteDeadline(time.Unix(1, 0)) }
