package pebblelog

import (
	"encoding/binary"
	"fmt"
	"sort"
	"time"

	"github.com/spatehub/spate/persist"
)

// Bounds of a chunk. Retention drops whole chunks, so where the retention bounds
// are small, chunks are an eighth of them.
const (
	maxChunkRecords = 4096
	maxChunkBytes   = 1 << 20
	chunksOfBound   = 8
)

// chunk is a run of records in order of ID, the unit of retention. All but the
// newest chunk are closed: they get no more records, and their numbers are on
// disk.
type chunk struct {
	first, last    uint64 // IDs; of removed records too
	count, bytes   int64  // records there still are
	oldest, newest int64  // their times
}

func (c *chunk) add(id uint64, at int64, size int64) {
	if c.last == 0 {
		c.first, c.oldest, c.newest = id, at, at
	}
	c.last = id
	c.count++
	c.bytes += size
	c.oldest, c.newest = min(c.oldest, at), max(c.newest, at)
}

func (c *chunk) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, c.last)
	dst = binary.AppendVarint(dst, c.count)
	dst = binary.AppendVarint(dst, c.bytes)
	dst = binary.AppendVarint(dst, c.oldest)
	return binary.AppendVarint(dst, c.newest)
}

func parseChunk(key, v []byte) (chunk, error) {
	var c chunk
	if len(key) != 9 {
		return c, fmt.Errorf("%w: chunk", errValue)
	}
	c.first = keyID(key)
	last, n := binary.Uvarint(v)
	if n <= 0 {
		return c, fmt.Errorf("%w: chunk at %d", errValue, c.first)
	}
	c.last = last
	v = v[n:]
	for _, field := range []*int64{&c.count, &c.bytes, &c.oldest, &c.newest} {
		if *field, n = binary.Varint(v); n <= 0 {
			return c, fmt.Errorf("%w: chunk at %d", errValue, c.first)
		}
		v = v[n:]
	}
	return c, nil
}

// grain is when a chunk is full.
type grain struct {
	records, bytes int64
	span           int64 // milliseconds between oldest and newest; 0 is any
}

func newGrain(r *persist.Retention) grain {
	g := grain{records: maxChunkRecords, bytes: maxChunkBytes}
	if r.MaxCount > 0 {
		g.records = max(1, min(g.records, r.MaxCount/chunksOfBound))
	}
	if r.MaxBytes > 0 {
		g.bytes = max(1, min(g.bytes, r.MaxBytes/chunksOfBound))
	}
	if r.MaxAge > 0 {
		g.span = max(1, r.MaxAge.Milliseconds()/chunksOfBound)
	}
	return g
}

func (g *grain) full(c *chunk) bool {
	return c.count >= g.records || c.bytes >= g.bytes || g.span > 0 && c.newest-c.oldest >= g.span
}

// chunkList is the chunks of a log with their sums.
//
// Invariant: ascending and disjoint; count and bytes are the sums over chunks.
type chunkList struct {
	chunks       []chunk
	open         bool // the last one still grows
	count, bytes int64
}

// add counts a record. When that fills the chunk, it is returned, and the next
// record begins a new one.
func (l *chunkList) add(g *grain, id uint64, at, size int64) (full *chunk) {
	if !l.open {
		l.chunks = append(l.chunks, chunk{})
		l.open = true
	}
	c := &l.chunks[len(l.chunks)-1]
	c.add(id, at, size)
	l.count++
	l.bytes += size
	if g.full(c) {
		l.open = false
		return c
	}
	return nil
}

// find returns the chunk whose range of IDs holds id, or nil, and whether it is
// closed.
func (l *chunkList) find(id uint64) (c *chunk, closed bool) {
	i := sort.Search(len(l.chunks), func(i int) bool { return l.chunks[i].last >= id })
	if i == len(l.chunks) || l.chunks[i].first > id {
		return nil, false
	}
	return &l.chunks[i], !l.open || i < len(l.chunks)-1
}

// drop forgets the first n chunks.
func (l *chunkList) drop(n int) {
	for i := range l.chunks[:n] {
		l.count -= l.chunks[i].count
		l.bytes -= l.chunks[i].bytes
	}
	if l.chunks = l.chunks[n:]; len(l.chunks) == 0 {
		l.open = false
	}
}

// expired returns how many of the first chunks have to go at time now for the
// rest to be within bounds. A chunk goes when what is left after it would still
// reach the bound, so at least as much is kept as the bound allows. IDs above
// limit stay.
func (l *chunkList) expired(r *persist.Retention, now time.Time, limit uint64) int {
	count, bytes := l.count, l.bytes
	cutoff := now.Add(-r.MaxAge).UnixMilli()
	for i := range l.chunks {
		c := &l.chunks[i]
		count -= c.count
		bytes -= c.bytes
		over := r.MaxCount > 0 && count >= r.MaxCount ||
			r.MaxBytes > 0 && bytes >= r.MaxBytes ||
			r.MaxAge > 0 && c.newest < cutoff
		if !over || c.last > limit {
			return i
		}
	}
	return len(l.chunks)
}
