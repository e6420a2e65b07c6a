package persist

import (
	"slices"
	"sort"
	"strings"
)

// topicBlock is how many streams a block of a topicIndex holds at most.
const topicBlock = 256

// topicIndex is the streams of topics in the order of their names, for readers of
// patterns. Adding and removing one costs a logarithmic number of steps, and moves a
// block of them. The zero value is empty.
//
// Invariant: no block is empty, and two neighbours have more than half a block together.
type topicIndex struct{ blocks [][]*memStream }

// find returns the block and the place in it of the first stream whose name is not below
// the one given. Where there is none, that is behind the last.
func (x *topicIndex) find(name string) (block, at int) {
	block = sort.Search(len(x.blocks), func(i int) bool {
		b := x.blocks[i]
		return b[len(b)-1].key.name >= name
	})
	if block == len(x.blocks) {
		return block, 0
	}
	b := x.blocks[block]
	return block, sort.Search(len(b), func(i int) bool { return b[i].key.name >= name })
}

// add adds a stream that is not in the index.
func (x *topicIndex) add(s *memStream) {
	i, at := x.find(s.key.name)
	if i == len(x.blocks) {
		if i == 0 {
			x.blocks = append(x.blocks, []*memStream{s})
			return
		}
		i--
		at = len(x.blocks[i])
	}
	b := slices.Insert(x.blocks[i], at, s)
	x.blocks[i] = b
	if len(b) > topicBlock {
		x.blocks[i] = slices.Clone(b[:len(b)/2])
		x.blocks = slices.Insert(x.blocks, i+1, slices.Clone(b[len(b)/2:]))
	}
}

// remove takes out a stream that is in the index.
func (x *topicIndex) remove(s *memStream) {
	i, at := x.find(s.key.name)
	x.blocks[i] = slices.Delete(x.blocks[i], at, at+1)
	if len(x.blocks[i]) == 0 {
		x.blocks = slices.Delete(x.blocks, i, i+1)
		return
	}
	x.join(i)
	x.join(i - 1)
}

// join puts a block and the next one together where both have become small.
func (x *topicIndex) join(i int) {
	if i < 0 || i+1 >= len(x.blocks) || len(x.blocks[i])+len(x.blocks[i+1]) > topicBlock/2 {
		return
	}
	x.blocks[i] = append(x.blocks[i], x.blocks[i+1]...)
	x.blocks = slices.Delete(x.blocks, i+1, i+2)
}

// each calls fn for the streams whose name begins with prefix, in order, until it returns
// false.
func (x *topicIndex) each(prefix string, fn func(s *memStream) bool) {
	for i, at := x.find(prefix); i < len(x.blocks); i, at = i+1, 0 {
		for _, s := range x.blocks[i][at:] {
			if !strings.HasPrefix(s.key.name, prefix) || !fn(s) {
				return
			}
		}
	}
}
