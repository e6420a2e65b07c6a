package engine

// joined is a run of events as one stretch of bytes, so that it goes out as
// one write.
type joined struct {
	data  []byte
	parts []part
	skip  int    // what the parts' ends count from before data: a shared page sends from its middle
	buf   []byte // backing of data where it is joined here
}

// part is one event of a joined run.
type part struct {
	end int   // offset behind its frame, counted from skip bytes before data
	at  point // of an event of the ring its position; of a record its ID
}

func (j *joined) reset() {
	if cap(j.buf) > 4*sendBytes {
		j.buf = nil
	}
	j.buf, j.data, j.parts, j.skip = j.buf[:0], nil, j.parts[:0], 0
}

// end returns the offset in data behind event i.
func (j *joined) end(i int) int { return j.parts[i].end - j.skip }

// add appends the entry's frame. A single frame is not copied: data then
// aliases the ring slot.
func (j *joined) add(at point, frame []byte) {
	switch len(j.parts) {
	case 0:
		j.data = frame
	case 1:
		j.buf = append(append(j.buf[:0], j.data...), frame...)
		j.data = j.buf
	default:
		j.buf = append(j.buf, frame...)
		j.data = j.buf
	}
	j.parts = append(j.parts, part{end: len(j.data), at: at})
}

// taken returns how many whole events the first n bytes hold.
func (j *joined) taken(n int) int {
	lo, hi := 0, len(j.parts)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if j.parts[mid].end-j.skip <= n {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// start returns the offset at which event i begins.
func (j *joined) start(i int) int {
	if i == 0 {
		return 0
	}
	return j.parts[i-1].end - j.skip
}

// variants are the joined runs of one masked batch, one for each distinct
// audience, found by the bits of the events in it.
type variants struct {
	bits  []uint64
	runs  []joined
	newer int // the run to replace next when all are in use
}

// maxVariants bounds the runs kept at a time: audiences beyond it are joined
// again when they recur.
const maxVariants = 32

func (v *variants) reset() { v.bits, v.newer = v.bits[:0], 0 }

// find returns the run for bits, or an empty one to fill and false.
func (v *variants) find(bits uint64) (*joined, bool) {
	for i, b := range v.bits {
		if b == bits {
			return &v.runs[i], true
		}
	}
	i := len(v.bits)
	if i == maxVariants {
		i = v.newer
		v.newer = (v.newer + 1) % maxVariants
		v.bits[i] = bits
	} else {
		v.bits = append(v.bits, bits)
		if i == len(v.runs) {
			v.runs = append(v.runs, joined{})
		}
	}
	v.runs[i].reset()
	return &v.runs[i], false
}
