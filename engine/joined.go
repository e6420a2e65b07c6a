package engine

import "slices"

// joined is a run of events as one stretch of bytes in one form, so that it
// goes out as one write. Only its methods touch its fields.
type joined struct {
	data  []byte
	parts []part
	skip  int    // what the parts' ends count from before data: a shared page sends from its middle
	buf   []byte // backing of data where it is joined here
	ids   bool   // an event of the ring in it has an ID
}

// part is one event of a joined run.
type part struct {
	end int   // offset behind its frame, counted from skip bytes before data
	at  point // of an event of the ring its position; of a record its ID
}

// reset makes the run empty.
func (j *joined) reset() {
	if cap(j.buf) > 4*sendBytes {
		j.buf = nil
	}
	j.buf, j.data, j.parts, j.skip, j.ids = j.buf[:0], nil, j.parts[:0], 0, false
}

// bytes is the run as it goes out.
func (j *joined) bytes() []byte { return j.data }

// len is the number of its events.
func (j *joined) len() int { return len(j.parts) }

// at is event i.
func (j *joined) at(i int) point { return j.parts[i].at }

// end returns the offset in bytes behind event i.
func (j *joined) end(i int) int { return j.parts[i].end - j.skip }

// add appends an event. A single one is not copied: the run then aliases the
// ring's slot.
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

// addEntry adds an event of the ring.
func (j *joined) addEntry(p position, e *entry, f Form) {
	j.add(point{pos: p}, e.in(f))
	j.ids = j.ids || !e.ephemeral()
}

// share makes the run a part of a longer stretch, which is not copied: its
// events from..to-1. The run must be empty.
func (j *joined) share(data []byte, parts []part, from, to int) {
	if from >= to {
		return
	}
	if from > 0 {
		j.skip = parts[from-1].end
	}
	j.data = data[j.skip:parts[to-1].end]
	j.parts = append(j.parts, parts[from:to]...)
}

// taken returns how many whole events the first n bytes hold.
func (j *joined) taken(n int) int {
	if n == len(j.data) {
		return len(j.parts)
	}
	i, found := slices.BinarySearchFunc(j.parts, n+j.skip, func(p part, end int) int { return p.end - end })
	if found {
		i++
	}
	return i
}

// rest returns what is to follow the first n bytes before anything else, where
// they end within the event after the first took: the remainder of that event.
func (j *joined) rest(n, took int) []byte {
	start := 0
	if took > 0 {
		start = j.end(took - 1)
	}
	if n == start {
		return nil
	}
	return j.data[n:j.end(took)]
}

// before returns where a client is that has got the first i events.
func (j *joined) before(i int) point {
	if i == 0 {
		first := j.parts[0].at
		return point{first.pos - 1, first.id - 1}
	}
	return j.parts[i-1].at
}
