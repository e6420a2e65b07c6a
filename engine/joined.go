package engine

import (
	"slices"
	"sort"
)

// joined is a run of events as one stretch of bytes in one form, so that it
// goes out as one write. Only its methods touch its fields.
//
// In a coded form it is one stretch or several, each coded by itself: what was sent
// of one in part is finished before anything else, as a frame is in the other forms.
// All events of a stretch end where it ends.
type joined struct {
	data  []byte
	parts []part
	skip  int    // what the parts' ends count from before data: a shared page sends from its middle
	buf   []byte // backing of data where it is joined here
	own   []part // backing of parts where they are not those of a longer stretch
	lent  bool   // they are
	ids   bool   // an event of the ring in it has an ID

	stretches int // in a coded form
	plain     int // the bytes of the frames in them
}

// part is one event of a joined run.
type part struct {
	end int   // offset behind its frame, or its stretch, counted from skip bytes before data
	at  point // of an event of the ring its position; of a record its ID
}

// reset makes the run empty.
func (j *joined) reset() {
	if cap(j.buf) > 4*sendBytes {
		j.buf = nil
	}
	if !j.lent {
		j.own = j.parts[:0]
	}
	j.buf, j.data, j.parts, j.skip, j.lent, j.ids = j.buf[:0], nil, j.own, 0, false, false
	j.stretches, j.plain = 0, 0
}

// bytes is the run as it goes out.
func (j *joined) bytes() []byte { return j.data }

// len is the number of its events.
func (j *joined) len() int { return len(j.parts) }

// weight is what the bytes of the run after the first n count as where they wait: a
// coded run counts as the frames in it, so that a queue is as long in every form.
func (j *joined) weight(n int) int {
	if j.stretches == 0 {
		return len(j.data) - n
	}
	return j.plain * (len(j.data) - n) / len(j.data)
}

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

// mark adds an event to the stretch that addStretch appends next.
func (j *joined) mark(at point) { j.parts = append(j.parts, part{at: at}) }

// addStretch appends a coded stretch, of so many bytes of frames. A single one is
// not copied.
func (j *joined) addStretch(coded []byte, frames int) {
	switch j.stretches {
	case 0:
		j.data = coded
	case 1:
		j.buf = append(append(j.buf[:0], j.data...), coded...)
		j.data = j.buf
	default:
		j.buf = append(j.buf, coded...)
		j.data = j.buf
	}
	j.stretches++
	j.plain += frames
	for i := len(j.parts) - 1; i >= 0 && j.parts[i].end == 0; i-- {
		j.parts[i].end = len(j.data)
	}
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
	j.own, j.parts, j.lent = j.parts, parts[from:to:to], true
}

// upTo returns how many of the first n events, which is some, are up to a point.
func (j *joined) upTo(p point, n int) int {
	if p.covers(j.at(n - 1)) { // mostly all, or none
		return n
	}
	return sort.Search(n-1, func(i int) bool { return !p.covers(j.at(i)) })
}

// taken returns how many whole events the first n bytes hold.
func (j *joined) taken(n int) int {
	if n == len(j.data) {
		return len(j.parts)
	}
	i, _ := slices.BinarySearchFunc(j.parts, n+j.skip, func(p part, end int) int {
		if p.end <= end {
			return -1
		}
		return 1
	})
	return i
}

// rest returns what is to follow the first n bytes before anything else, where
// they end within the event after the first took: the remainder of that event, or
// of its stretch.
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

// unit returns the number of events that are finished together with event i, from
// it on: those of its stretch.
func (j *joined) unit(i int) int {
	n := 1
	for i+n < len(j.parts) && j.parts[i+n].end == j.parts[i].end {
		n++
	}
	return n
}

// before returns where a client is that has got the first i events.
func (j *joined) before(i int) point {
	if i == 0 {
		first := j.parts[0].at
		return point{first.pos - 1, first.id - 1}
	}
	return j.parts[i-1].at
}
