//go:build linux

package rawreader

import "unsafe"

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
