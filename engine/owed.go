package engine

import "iter"

// owed are the events of which a client has got a part of the bytes: one, or those
// of a coded stretch. The rest of the bytes is the client's rest.
type owed struct {
	first  point
	set    bool
	more   []point // those after the first
	weight int     // what the rest counts as in queuedBytes
}

func (o *owed) add(at point) {
	if o.set {
		o.more = append(o.more, at)
	} else {
		o.first, o.set = at, true
	}
}

func (o *owed) len() int {
	if !o.set {
		return 0
	}
	return 1 + len(o.more)
}

func (o *owed) all() iter.Seq[point] {
	return func(yield func(point) bool) {
		if !o.set || !yield(o.first) {
			return
		}
		for _, at := range o.more {
			if !yield(at) {
				return
			}
		}
	}
}

// lighten takes n of the rest's bytes off its weight, and returns what they weigh.
func (o *owed) lighten(n, of int) int {
	weight := o.weight * n / of
	o.weight -= weight
	return weight
}

func (o *owed) clear() { *o = owed{more: o.more[:0]} }
