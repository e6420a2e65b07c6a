package persist

import (
	"math"
	"sort"
)

// memChunkRecords is the number of records in a chunk of a memory log.
const memChunkRecords = 512

// memChunk is a run of records in order of ID. Removed ones stay as holes until half
// of the chunk are holes, or all of it.
type memChunk struct {
	recs []memRecord
	head int // all before it are holes
	live int

	newest int64 // Time of the records that were ever in it
	reach  int64 // the same for all chunks up to this one
}

type memRecord struct {
	Record
	at   int64 // when it was appended, by the clock that ages are counted with
	dead bool
}

func (c *memChunk) add(r *memRecord) {
	if len(c.recs) == 0 {
		c.newest = math.MinInt64
	}
	c.recs = append(c.recs, *r)
	c.live++
	c.newest = max(c.newest, r.Time)
	c.reach = max(c.reach, r.Time)
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

// compact copies the live records together where most are holes, so that neither
// these nor the memory that frames of one batch share are held by the few that stay.
// The chunk must not be the newest. It costs a removal a constant number of steps on
// average.
func (c *memChunk) compact() {
	if c.live == 0 || 2*c.live > len(c.recs)-c.head {
		return // or they are all at its head, as where the oldest go: then the rest goes soon
	}
	recs := make([]memRecord, 0, c.live)
	for i := range c.recs[c.head:] {
		if r := &c.recs[c.head+i]; !r.dead {
			recs = append(recs, *r)
		}
	}
	n := 0
	for i := range recs {
		n += len(recs[i].Frame) + len(recs[i].Key)
	}
	arena := make([]byte, 0, n)
	for i := range recs {
		arena, recs[i].Frame = cut(arena, recs[i].Frame)
		arena, recs[i].Key = cutText(arena, recs[i].Key)
	}
	c.recs, c.head = recs, 0
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
