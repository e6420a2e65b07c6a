//go:build linux

package rawreader

import (
	"unsafe"

	"github.com/spatehub/spate/loadtest/internal/hist"
	"github.com/spatehub/spate/loadtest/internal/session"
)

// StreamSize is the memory of one stream, without what it points to.
const StreamSize = unsafe.Sizeof(stream{})

// OnYield has fn called wherever a loop lets other threads run.
func (t *Transport) OnYield(fn func()) {
	for _, l := range t.loops {
		l.do(func() { l.yield = fn })
	}
}

// ParseWaits reads what the kernel tells of a thread.
func ParseWaits(text string) (ns, turns int64, ok bool) {
	w, ok := parseWaits([]byte(text))
	return w.ns, w.turns, ok
}

// Waiter is a loop that does nothing but look how long it waited, in a file.
type Waiter struct{ l loop }

// NewWaiter looks from the file's present state on, at time 0; false if the file tells nothing.
func NewWaiter(file string) (*Waiter, bool) {
	w := &Waiter{loop{queue: openQueue(file), reader: &session.Reader{}}}
	w.l.waits, _ = w.l.queue.waits()
	return w, w.l.queue.tells()
}

// Look looks at that time, in nanoseconds.
func (w *Waiter) Look(now int64) { w.l.lookWaits(now) }

// Lag is what was found.
func (w *Waiter) Lag() *hist.Hist { return &w.l.reader.Stats.Lag }

// Close closes the file.
func (w *Waiter) Close() { w.l.queue.close() }
