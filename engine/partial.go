package engine

import "iter"

// partial are the events of which the client's rest is the remainder, if it is that
// of one, or of a coded stretch: they count when it is sent.
type partial struct {
	first  point
	set    bool
	more   []point // those after the first
	weight int     // what the rest counts as where it waits
}

func (p *partial) add(at point) {
	if p.set {
		p.more = append(p.more, at)
	} else {
		p.first, p.set = at, true
	}
}

func (p *partial) all() iter.Seq[point] {
	return func(yield func(point) bool) {
		if !p.set || !yield(p.first) {
			return
		}
		for _, at := range p.more {
			if !yield(at) {
				return
			}
		}
	}
}

// lighten takes n of the rest's bytes off its weight, and returns what they weigh.
func (p *partial) lighten(n, of int) int {
	weight := p.weight * n / of
	p.weight -= weight
	return weight
}

func (p *partial) clear() { *p = partial{more: p.more[:0]} }

// pending returns how many of the events are still to be counted as delivered.
func (l *lag) pending() (n int) {
	for at := range l.partial.all() {
		if !l.base.covers(at) {
			n++
		}
	}
	return n
}
