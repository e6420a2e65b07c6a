package engine

// variants are the joined runs of one masked batch, one for each distinct
// audience and form, found by the bits of the events in it.
type variants struct {
	keys  []variant
	runs  []joined
	newer int // the run to replace next when all are in use
}

// variant says what is in a run, and in which form.
type variant struct {
	bits uint64
	form Form
}

// maxVariants bounds the runs kept at a time: audiences beyond it are joined
// again when they recur.
const maxVariants = 32

func (v *variants) reset() { v.keys, v.newer = v.keys[:0], 0 }

// find returns the run for key, or an empty one to fill and false: nil where one has to
// be replaced for it.
func (v *variants) find(key variant) (*joined, bool) {
	for i, k := range v.keys {
		if k == key {
			return &v.runs[i], true
		}
	}
	i := len(v.keys)
	if i == maxVariants {
		return nil, false
	}
	v.keys = append(v.keys, key)
	if i == len(v.runs) {
		v.runs = append(v.runs, joined{})
	}
	v.runs[i].reset()
	return &v.runs[i], false
}

// replace returns an empty run for key, which was another's.
func (v *variants) replace(key variant) *joined {
	i := v.newer
	v.newer = (v.newer + 1) % maxVariants
	v.keys[i] = key
	v.runs[i].reset()
	return &v.runs[i]
}
