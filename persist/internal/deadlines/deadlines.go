// Package deadlines finds what is due among many, without looking at them all.
package deadlines

import "container/heap"

// Entry is something with a deadline. It is a part of what it stands for.
type Entry struct {
	Name string

	at  int64
	pos int // in the heap, plus one; 0 is outside
}

// Heap orders entries by deadline. The zero value is empty. Each method costs a
// logarithmic number of steps.
type Heap struct{ s slice }

// Set sets the deadline of an entry.
func (h *Heap) Set(e *Entry, at int64) {
	if e.pos > 0 {
		if e.at != at {
			e.at = at
			heap.Fix(&h.s, e.pos-1)
		}
		return
	}
	e.at = at
	heap.Push(&h.s, e)
}

// Remove takes an entry out, if it is in.
func (h *Heap) Remove(e *Entry) {
	if e.pos > 0 {
		heap.Remove(&h.s, e.pos-1)
	}
}

// Due returns an entry whose deadline is before now, nil if there is none.
func (h *Heap) Due(now int64) *Entry {
	if len(h.s) == 0 || h.s[0].at >= now {
		return nil
	}
	return h.s[0]
}

// slice is the heap as package heap wants it.
type slice []*Entry

func (s slice) Len() int           { return len(s) }
func (s slice) Less(i, j int) bool { return s[i].at < s[j].at }
func (s slice) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].pos, s[j].pos = i+1, j+1
}

func (s *slice) Push(x any) {
	e := x.(*Entry)
	*s = append(*s, e)
	e.pos = len(*s)
}

func (s *slice) Pop() any {
	old := *s
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*s = old[:len(old)-1]
	if cap(*s) > 1024 && len(*s) < cap(*s)/4 {
		*s = append(make(slice, 0, 2*len(*s)), *s...)
	}
	e.pos = 0
	return e
}
