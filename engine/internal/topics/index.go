package topics

import (
	"github.com/spatehub/spate/engine/internal/names"
	"github.com/spatehub/spate/wire"
)

// Member is what follows topics. It keeps a [Ref] for each pattern that it
// follows, under slots of its own numbering, and shows them to the index, which
// writes to them. A Ref must stay where it is while it is in use.
type Member[M any] interface {
	comparable
	TopicRef(slot int32) *Ref[M]
}

// Ref is a member's place with those who follow the same pattern. The zero value
// is no place.
type Ref[M any] struct {
	set   *Set[M]
	index int32
}

// In says whether the place is in the set.
func (r *Ref[M]) In(s *Set[M]) bool { return r.set == s }

// Entry is one member of a [Set], and the slot of its Ref.
type Entry[M any] struct {
	Member M
	slot   int32
}

// Set is the members that follow one pattern.
type Set[M any] struct {
	entries []Entry[M]
	pattern wire.Pattern
	at      *node[M] // where it hangs, of a pattern with wildcards
}

// Name implements names.Named.
func (s *Set[M]) Name() string { return s.pattern.String() }

// Entries are the set's members, at least one, in no order. The slice is valid
// until the index changes.
func (s *Set[M]) Entries() []Entry[M] { return s.entries }

// Index finds the members that follow a topic. Its zero value is empty and ready.
type Index[M Member[M]] struct {
	exact names.Table[*Set[M]]
	tree  trie[M]
}

// Add lets m follow the pattern and writes its place to m's Ref of this slot,
// which must not be in use. A member that follows several patterns with a topic
// in common is in several sets of that topic. The pattern that is returned is the
// same one in the text that all its members share.
//
// It costs the pattern's tokens, amortised.
func (x *Index[M]) Add(p wire.Pattern, m M, slot int32) wire.Pattern {
	var set *Set[M]
	if p.Wild() {
		set = x.tree.set(p)
	} else if set = x.exact.Get(p.String()); set == nil {
		set = &Set[M]{pattern: p.Clone()}
		x.exact.Put(set)
	}
	*m.TopicRef(slot) = Ref[M]{set, int32(len(set.entries))}
	set.entries = append(set.entries, Entry[M]{m, slot})
	return set.pattern
}

// Remove undoes the Add of m's slot, and does nothing where there was none.
func (x *Index[M]) Remove(m M, slot int32) {
	ref := m.TopicRef(slot)
	set := ref.set
	if set == nil {
		return
	}
	n := len(set.entries) - 1
	moved := set.entries[n]
	set.entries[ref.index] = moved
	moved.Member.TopicRef(moved.slot).index = ref.index
	set.entries[n] = Entry[M]{}
	set.entries = shrink(set.entries[:n])
	*ref = Ref[M]{}
	switch {
	case n > 0:
	case set.at == nil:
		x.exact.Drop(set.pattern.String())
	default:
		x.tree.drop(set)
	}
}

// AppendSets appends the sets of all patterns that the topic is in to dst.
func (x *Index[M]) AppendSets(dst []*Set[M], topic string) []*Set[M] {
	if topic == "" {
		return dst
	}
	if set := x.exact.Get(topic); set != nil {
		dst = append(dst, set)
	}
	if x.tree.sets == 0 {
		return dst
	}
	return x.tree.find(dst, &x.tree.root, topic)
}

// Has reports whether anybody follows the topic.
func (x *Index[M]) Has(topic string) bool {
	if topic == "" {
		return false
	}
	return x.exact.Get(topic) != nil || x.tree.sets > 0 && x.tree.has(&x.tree.root, topic)
}

// Patterns is the number of patterns that are followed: exact topics, and those
// with wildcards.
func (x *Index[M]) Patterns() (exact, wild int) { return x.exact.Len(), x.tree.sets }

// shrink gives memory back once three quarters of a large list are unused.
func shrink[E any](list []E) []E {
	if cap(list) < 256 || len(list) > cap(list)/4 {
		return list
	}
	return append(make([]E, 0, 2*len(list)), list...)
}
