// Package names has a table of things that have names: who finds one asks for its name, which the thing itself holds. It
// takes some 16 bytes for each, where a map from strings takes 40, it gives memory back, and no call of it takes long,
// however many there are.
package names

import (
	"hash/maphash"
	"iter"
)

// Named is what has a name, which does not change while it is in a table. The zero value is nothing.
type Named interface {
	comparable
	Name() string
}

// Table holds at most one thing of each name. The zero value is empty and ready.
//
// It is an extendible hash: the first bits of a name's hash choose a part, of which there are as many as it takes for
// each to be small. A part that is full is split in two, and only the list of parts is ever copied as a whole.
//
// Used by one goroutine at a time.
type Table[V Named] struct {
	seed  maphash.Seed
	parts []*part[V] // 1<<depth, by the hash's first bits; several may be the same one
	depth uint8
	n     int
}

// Len is how many there are.
func (t *Table[V]) Len() int { return t.n }

// Get returns what has the name, or the zero value.
func (t *Table[V]) Get(name string) (v V) {
	if t.n == 0 {
		return v
	}
	h := t.hash(name)
	p := t.part(h)
	if i := p.find(h, name); i >= 0 {
		v = p.values[i]
	}
	return v
}

// Put adds v, instead of what had its name.
func (t *Table[V]) Put(v V) {
	if t.parts == nil {
		t.seed = maphash.MakeSeed()
		t.parts = []*part[V]{{}}
	}
	name := v.Name()
	h := t.hash(name)
	p := t.part(h)
	if i := p.find(h, name); i >= 0 {
		p.values[i] = v
		return
	}
	for p.n >= fullPart && p.depth < maxDepth {
		t.split(h)
		p = t.part(h)
	}
	p.add(h, v)
	t.n++
}

// Drop removes what has the name, if there is any.
func (t *Table[V]) Drop(name string) {
	if t.n == 0 {
		return
	}
	h := t.hash(name)
	p := t.part(h)
	i := p.find(h, name)
	if i < 0 {
		return
	}
	p.remove(i)
	if t.n--; t.n == 0 {
		t.parts, t.depth = nil, 0
	}
}

// All yields everything, in no order. The table does not change meanwhile.
func (t *Table[V]) All() iter.Seq[V] {
	return func(yield func(V) bool) {
		for i, p := range t.parts {
			if i > 0 && p == t.parts[i-1] {
				continue // the same part's places follow each other
			}
			for j, h := range p.hashes {
				if h != 0 && !yield(p.values[j]) {
					return
				}
			}
		}
	}
}

// hash returns the name's hash, which is never 0.
func (t *Table[V]) hash(name string) uint32 {
	if h := uint32(maphash.String(t.seed, name) >> 32); h != 0 {
		return h
	}
	return 1
}

func (t *Table[V]) part(h uint32) *part[V] { return t.parts[h>>(32-t.depth)] }

// split makes two parts of the one that h is in.
func (t *Table[V]) split(h uint32) {
	p := t.part(h)
	if p.depth == t.depth {
		twice := make([]*part[V], 2*len(t.parts))
		for i, q := range t.parts {
			twice[2*i], twice[2*i+1] = q, q
		}
		t.parts = twice
		t.depth++
	}
	low, high := p.halves()
	first := int(h >> (32 - t.depth)) // any place of p
	first -= first & (1<<(t.depth-p.depth) - 1)
	places := t.parts[first : first+1<<(t.depth-p.depth)]
	for i := range places {
		if i < len(places)/2 {
			places[i] = low
		} else {
			places[i] = high
		}
	}
}
