package topics

// table is a map that gives memory back: Go's own keeps what it has grown to.
// The zero value is empty and ready.
type table[K comparable, V any] struct {
	m    map[K]V
	peak int // most entries since m was made
}

// roomy is how many entries a map may once have had without being made anew.
const roomy = 256

// get returns the value of k, or the zero value.
func (t *table[K, V]) get(k K) V { return t.m[k] }

func (t *table[K, V]) put(k K, v V) {
	if t.m == nil {
		t.m = make(map[K]V)
	}
	t.m[k] = v
	t.peak = max(t.peak, len(t.m))
}

// drop removes k. Once three quarters of the entries are gone the rest moves to a
// new map, which costs each removal a constant on average.
func (t *table[K, V]) drop(k K) {
	delete(t.m, k)
	if t.peak < roomy || len(t.m) > t.peak/4 {
		return
	}
	small := make(map[K]V, len(t.m))
	for k, v := range t.m {
		small[k] = v
	}
	t.m, t.peak = small, len(small)
}
