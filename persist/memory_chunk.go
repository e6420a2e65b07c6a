package persist

import (
	"slices"
	"sort"
)

// memChunkRecords is the number of records in a chunk of a memory log.
const memChunkRecords = 512

// memChunk is a run of records in order of ID. Removed ones stay as holes until
// the chunk has no live record left.
type memChunk struct {
	recs []memRecord
	head int // all before it are holes
	live int
}

type memRecord struct {
	Record
	dead bool
}

func (c *memChunk) add(r *Record) {
	c.recs = append(c.recs, memRecord{Record: *r})
	c.live++
}

func (c *memChunk) last() uint64 { return c.recs[len(c.recs)-1].ID }

// kill makes r a hole and lets go of its memory.
func (c *memChunk) kill(r *memRecord) {
	*r = memRecord{Record: Record{ID: r.ID}, dead: true}
	c.live--
	for c.head < len(c.recs) && c.recs[c.head].dead {
		c.head++
	}
}

// search returns the index of the first record with an ID > after.
func (c *memChunk) search(after uint64) int {
	return sort.Search(len(c.recs), func(i int) bool { return c.recs[i].ID > after })
}

// searchChunks returns the index of the first chunk with an ID > after.
func searchChunks(chunks []*memChunk, after uint64) int {
	return sort.Search(len(chunks), func(i int) bool { return chunks[i].last() > after })
}

// findRecord returns the live record with this ID and its chunk, or nil.
func findRecord(chunks []*memChunk, id uint64) (*memChunk, *memRecord) {
	i := searchChunks(chunks, id-1)
	if i == len(chunks) {
		return nil, nil
	}
	c := chunks[i]
	j := c.search(id - 1)
	if r := &c.recs[j]; r.ID == id && !r.dead {
		return c, r
	}
	return nil, nil
}

// idList is a queue of ascending IDs.
type idList struct {
	ids  []uint64
	head int // ids[:head] are gone
}

func (l *idList) len() int { return len(l.ids) - l.head }

// push appends an ID; one that is the last already is not added again.
func (l *idList) push(id uint64) {
	if n := len(l.ids); n > l.head && l.ids[n-1] == id {
		return
	}
	l.ids = append(l.ids, id)
}

func (l *idList) front() uint64 { return l.ids[l.head] }

// after returns the IDs > id. The list keeps the memory.
func (l *idList) after(id uint64) []uint64 {
	live := l.ids[l.head:]
	i := sort.Search(len(live), func(i int) bool { return live[i] > id })
	return live[i:]
}

// remove takes an ID out. It is cheap for the first one, the usual case.
func (l *idList) remove(id uint64) {
	live := l.ids[l.head:]
	i, ok := slices.BinarySearch(live, id)
	switch {
	case !ok:
		return
	case i > 0:
		l.ids = slices.Delete(l.ids, l.head+i, l.head+i+1)
		return
	}
	l.head++
	if l.head > 64 && l.head > len(l.ids)/2 {
		l.ids = append(make([]uint64, 0, 2*l.len()), l.ids[l.head:]...)
		l.head = 0
	}
}
