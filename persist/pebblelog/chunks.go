package pebblelog

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/clock"
)

// Bounds of a chunk. Retention drops whole chunks, so where the retention bounds
// are small, chunks are an eighth of them.
const (
	maxChunkRecords = 4096
	maxChunkBytes   = 1 << 20
	chunksOfBound   = 8
	minTopicSpan    = 60_000 // milliseconds
)

// chunk is a run of records in order of ID, the unit of retention. All but the
// newest chunk are closed: they get no more records, and their numbers are on
// disk.
type chunk struct {
	first, last    uint64 // IDs; of removed records too
	count, bytes   int64  // records there still are
	oldest, newest int64  // their times

	// These are in memory alone. reach is the newest time of all chunks up to this
	// one. at is the newest time by the steady clock, found out when the chunk ended
	// with the ID dated: retention goes by it while newest is ahead of the clock.
	reach int64
	at    int64
	dated uint64
	start uint64 // what first was before the chunk took over the IDs of others; on disk, first
}

func (c *chunk) add(id uint64, at int64, size int64) {
	if c.last == 0 {
		c.first, c.start, c.oldest, c.newest = id, id, at, at
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
	c.start = c.first
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
	for _, t := range r.Topics {
		// So that a record that is ahead of the clock has few others in its chunk.
		if span := max(minTopicSpan, t.MaxAge.Milliseconds()/chunksOfBound); t.MaxAge > 0 && (g.span == 0 || span < g.span) {
			g.span = span
		}
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
		l.push(chunk{})
		l.open = true
	}
	c := &l.chunks[len(l.chunks)-1]
	c.add(id, at, size)
	c.reach = max(c.reach, at)
	l.count++
	l.bytes += size
	if g.full(c) {
		l.open = false
		return c
	}
	return nil
}

// push adds a chunk behind the others.
func (l *chunkList) push(c chunk) {
	if n := len(l.chunks); n > 0 {
		c.reach = l.chunks[n-1].reach
	}
	if c.last != 0 {
		c.reach = max(c.reach, c.newest)
	}
	l.chunks = append(l.chunks, c)
	l.count += c.count
	l.bytes += c.bytes
}

// Len, Newest and Reach implement [bytime.Chunks].
func (l *chunkList) Len() int           { return len(l.chunks) }
func (l *chunkList) Newest(i int) int64 { return l.chunks[i].newest }
func (l *chunkList) Reach(i int) int64  { return l.chunks[i].reach }

// date finds out how old the chunks are that have got records since it was last
// called, and by how much the newest of them is ahead of the clock. Such a chunk is as
// old as the one behind it, or has been appended now.
func (l *chunkList) date(now clock.Moment) (ahead time.Duration) {
	for i := len(l.chunks) - 1; i >= 0 && l.chunks[i].dated != l.chunks[i].last; i-- {
		c := &l.chunks[i]
		c.at, c.dated = now.Of(c.newest), c.last
		if c.newest > now.World {
			ahead = max(ahead, time.Duration(c.newest-now.World)*time.Millisecond)
			if i+1 < len(l.chunks) {
				c.at = l.chunks[i+1].at
			}
		}
	}
	return ahead
}

// keepDates takes over what another list of the same records knows of their age.
func (l *chunkList) keepDates(old *chunkList) {
	for i := range min(len(l.chunks), len(old.chunks)) {
		if c, o := &l.chunks[i], &old.chunks[i]; c.first == o.first && c.last == o.last {
			c.at, c.dated = o.at, o.dated
		}
	}
}

// olderThan reports whether all of the chunk is older than an age in milliseconds.
func (c *chunk) olderThan(age int64, now clock.Moment) bool {
	if c.newest <= now.World {
		return c.newest < now.World-age
	}
	return c.dated == c.last && c.at < now.Steady-age
}

// absorb takes out a closed chunk without records and leaves its IDs to the one behind
// it, if there is one. It returns that, with the ID that it began with, and whether it
// is still open.
func (l *chunkList) absorb(first uint64) (next *chunk, was uint64, open bool) {
	i := sort.Search(len(l.chunks), func(i int) bool { return l.chunks[i].first >= first })
	if i+1 >= len(l.chunks) {
		return nil, 0, false
	}
	was = l.chunks[i+1].first
	l.chunks[i+1].first = first
	if i == 0 {
		l.chunks = l.chunks[1:]
	} else {
		l.chunks = slices.Delete(l.chunks, i, i+1)
	}
	return &l.chunks[i], was, l.open && i == len(l.chunks)-1
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
	// What was dropped does not reach any more.
	reach := int64(math.MinInt64)
	for i := range l.chunks {
		c := &l.chunks[i]
		if reach = max(reach, c.newest); reach == c.reach {
			break
		}
		c.reach = reach
	}
}

// expired returns how many of the first chunks have to go at time now for the
// rest to be within bounds. A chunk goes when what is left after it would still
// reach the bound, so at least as much is kept as the bound allows. IDs above
// limit stay.
func (l *chunkList) expired(r *persist.Retention, now clock.Moment, limit uint64) int {
	count, bytes := l.count, l.bytes
	age := r.MaxAge.Milliseconds()
	for i := range l.chunks {
		c := &l.chunks[i]
		count -= c.count
		bytes -= c.bytes
		over := r.MaxCount > 0 && count >= r.MaxCount ||
			r.MaxBytes > 0 && bytes >= r.MaxBytes ||
			age > 0 && c.olderThan(age, now)
		if !over || c.last > limit {
			return i
		}
	}
	return len(l.chunks)
}
