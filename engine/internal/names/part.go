package names

// Bounds of a part: it is split when it has that many, unless their hashes have as many first bits in common as a table
// may tell apart.
const (
	fullPart = 1024
	maxDepth = 22
)

// part is a hash table with open addressing. What a hash that is not 0 stands for is at the same place in values; no
// place between there and the one where it belongs is free.
type part[V Named] struct {
	hashes []uint32
	values []V
	n      int
	depth  uint8 // first bits that all hashes have in common
}

// home is the place where a hash belongs.
func (p *part[V]) home(h uint32) int {
	return int(uint64(h<<p.depth) * uint64(len(p.hashes)) >> 32)
}

// next is the place after i.
func (p *part[V]) next(i int) int {
	if i++; i == len(p.hashes) {
		return 0
	}
	return i
}

// find returns the place of what has the name, -1 where there is nothing.
func (p *part[V]) find(h uint32, name string) int {
	if p.n == 0 {
		return -1
	}
	for i := p.home(h); p.hashes[i] != 0; i = p.next(i) {
		if p.hashes[i] == h && p.values[i].Name() == name {
			return i
		}
	}
	return -1
}

// add adds what is not there.
func (p *part[V]) add(h uint32, v V) {
	if 8*(p.n+1) > 7*len(p.hashes) {
		p.resize(max(4, len(p.hashes)+len(p.hashes)/4+1))
	}
	p.place(h, v)
}

// place puts a value where it belongs: there is room.
func (p *part[V]) place(h uint32, v V) {
	i := p.home(h)
	for p.hashes[i] != 0 {
		i = p.next(i)
	}
	p.hashes[i], p.values[i] = h, v
	p.n++
}

// remove empties a place, and moves up what lies behind it for want of room.
func (p *part[V]) remove(hole int) {
	var none V
	for i := p.next(hole); p.hashes[i] != 0; i = p.next(i) {
		// What belongs after the hole, on the way to where it is, stays.
		if way := p.way(p.home(p.hashes[i]), i); way < p.way(hole, i) {
			continue
		}
		p.hashes[hole], p.values[hole] = p.hashes[i], p.values[i]
		hole = i
	}
	p.hashes[hole], p.values[hole] = 0, none
	if p.n--; 4*p.n < len(p.hashes) && len(p.hashes) > 8 {
		p.resize(max(4, 2*p.n))
	}
}

// way is how many places it is from one place on to another.
func (p *part[V]) way(from, to int) int {
	if to < from {
		to += len(p.hashes)
	}
	return to - from
}

// resize moves everything to that many places.
func (p *part[V]) resize(places int) {
	old := *p
	*p = part[V]{hashes: make([]uint32, places), values: make([]V, places), depth: old.depth}
	for i, h := range old.hashes {
		if h != 0 {
			p.place(h, old.values[i])
		}
	}
}

// halves returns a part for each value of the first bit in which the hashes differ.
func (p *part[V]) halves() (low, high *part[V]) {
	low, high = &part[V]{depth: p.depth + 1}, &part[V]{depth: p.depth + 1}
	var highs int
	for _, h := range p.hashes {
		highs += int(h << p.depth >> 31)
	}
	high.resize(highs + highs/4 + 4)
	low.resize((p.n - highs) + (p.n-highs)/4 + 4)
	for i, h := range p.hashes {
		switch {
		case h == 0:
		case h<<p.depth>>31 == 0:
			low.place(h, p.values[i])
		default:
			high.place(h, p.values[i])
		}
	}
	return low, high
}
