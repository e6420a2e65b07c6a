package rawsock

import (
	"sync"

	"golang.org/x/sys/unix"
)

// slotID names one use of one slot: 64 bits that travel through the kernel with
// each event. The generation tells a slot's uses apart, so that an event of a
// socket that is gone never reaches the next one with the same slot. (A
// descriptor number could not: the kernel hands it out again at once.)
type slotID struct {
	index uint32
	gen   uint32
}

// event is an epoll event that carries id.
func (id slotID) event(mask uint32) unix.EpollEvent {
	return unix.EpollEvent{Events: mask, Fd: int32(id.index), Pad: int32(id.gen)}
}

func slotOf(ev *unix.EpollEvent) slotID {
	return slotID{index: uint32(ev.Fd), gen: uint32(ev.Pad)}
}

// slotTable maps slots to wakers. Its lock is held for a few instructions, by
// arriving and leaving connections and once per batch of events; publishing and
// sending never take it.
//
// Freed slots are used again, so the table is as large as the most sockets that
// were watched at a time: 24 bytes each.
type slotTable struct {
	mu     sync.Mutex
	chunks []*[chunkSlots]slot
	fresh  uint32 // slots below were used before
	free   uint32 // index + 1 of the first free one below fresh, 0 for none
	used   int    // slots reserved now
}

// slot is one entry. Chunks never move, and growing copies no entry.
type slot struct {
	to   Waker
	gen  uint32 // of the present use, or of the next where the slot is free
	note uint32 // reserved, no waker yet: events so far; free: next free index + 1
}

const chunkSlots = 512

// at returns the entry of index; the lock is held.
func (t *slotTable) at(index uint32) *slot {
	return &t.chunks[index/chunkSlots][index%chunkSlots]
}

// current returns the entry of id, nil where that use is over; the lock is held.
func (t *slotTable) current(id slotID) *slot {
	if id.index >= t.fresh {
		return nil
	}
	if s := t.at(id.index); s.gen == id.gen {
		return s
	}
	return nil
}

// reserve takes a slot that has no waker yet.
func (t *slotTable) reserve() slotID {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.used++
	if t.free != 0 {
		index := t.free - 1
		s := t.at(index)
		t.free, s.note = s.note, 0
		return slotID{index: index, gen: s.gen}
	}
	index := t.fresh
	if int(index/chunkSlots) == len(t.chunks) {
		t.chunks = append(t.chunks, new([chunkSlots]slot))
	}
	t.fresh++
	return slotID{index: index, gen: t.at(index).gen}
}

// attach sets the waker of id and returns the events that came before. It does
// nothing where that use is over.
func (t *slotTable) attach(id slotID, w Waker) (early uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.current(id)
	if s == nil {
		return 0
	}
	early, s.note = s.note, 0
	s.to = w
	return early
}

// resolve appends to news who is to be told of events.
func (t *slotTable) resolve(events []unix.EpollEvent, news []notice) []notice {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range events {
		s := t.current(slotOf(&events[i]))
		switch {
		case s == nil:
		case s.to == nil:
			s.note |= events[i].Events
		default:
			news = append(news, notice{to: s.to, events: events[i].Events})
		}
	}
	return news
}

// release ends the use of id and reports whether no slot is left in use.
func (t *slotTable) release(id slotID) (last bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.current(id)
	if s == nil {
		return false
	}
	*s = slot{gen: id.gen + 1, note: t.free}
	t.free = id.index + 1
	t.used--
	return t.used == 0
}

func (t *slotTable) empty() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.used == 0
}
