// Package shrink has a map that gives back the memory of what was deleted from it.
package shrink

import "iter"

// Map is a map that is copied into a smaller one when it has shrunk to a quarter of
// what it was. A plain map keeps the memory of its largest size for ever. The zero
// value is an empty map.
//
// Used by one goroutine at a time.
type Map[K comparable, V any] struct {
	m    map[K]V
	peak int // most entries since m was made
}

// minPeak is the size from which on it matters.
const minPeak = 1024

// Len returns the number of entries.
func (m *Map[K, V]) Len() int { return len(m.m) }

// Get returns the value of a key, the zero value if there is none.
func (m *Map[K, V]) Get(k K) V { return m.m[k] }

// Set sets the value of a key.
func (m *Map[K, V]) Set(k K, v V) {
	if m.m == nil {
		m.m = make(map[K]V)
	}
	m.m[k] = v
	m.peak = max(m.peak, len(m.m))
}

// Delete deletes a key. It costs a constant number of steps on average.
func (m *Map[K, V]) Delete(k K) {
	delete(m.m, k)
	if m.peak < minPeak || len(m.m) > m.peak/4 {
		return
	}
	smaller := make(map[K]V, len(m.m))
	for k, v := range m.m {
		smaller[k] = v
	}
	m.m, m.peak = smaller, len(smaller)
}

// All yields the entries in any order. During it, entries may be set, and none
// deleted.
func (m *Map[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for k, v := range m.m {
			if !yield(k, v) {
				return
			}
		}
	}
}
