package check

import "slices"

// maxHoles bounds the memory of one cell's holes. Streams of a sound server
// have none.
const maxHoles = 256

// hole is a run of numbers that were passed over: lost, unless they come late.
type hole struct {
	from, to uint64
	join     bool // before the first event that the stream saw after joining
}

// holes is the set of numbers passed over in one cell: disjoint, rising.
type holes struct {
	list   []hole
	frozen uint64 // numbers of holes given up for lost because there were too many
}

// add notes a new run, above all others.
func (h *holes) add(from, to uint64, join bool) {
	if len(h.list) == maxHoles {
		h.frozen += h.list[0].to - h.list[0].from + 1
		h.list = slices.Delete(h.list, 0, 1)
	}
	h.list = append(h.list, hole{from, to, join})
}

// fill takes n out and reports whether it was in.
func (h *holes) fill(n uint64) bool {
	if h == nil {
		return false
	}
	i, ok := slices.BinarySearchFunc(h.list, n, func(x hole, n uint64) int {
		switch {
		case x.to < n:
			return -1
		case x.from > n:
			return 1
		}
		return 0
	})
	if !ok {
		return false
	}
	x := &h.list[i]
	switch {
	case x.from == x.to:
		h.list = slices.Delete(h.list, i, i+1)
	case n == x.from:
		x.from++
	case n == x.to:
		x.to--
	default:
		upper := hole{n + 1, x.to, x.join}
		x.to = n - 1
		h.list = slices.Insert(h.list, i+1, upper)
	}
	return true
}
