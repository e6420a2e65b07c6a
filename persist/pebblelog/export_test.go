package pebblelog

import (
	"context"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/spatehub/spate/persist"
)

// PebbleOptions returns the options a Pebble log opens its database with, on the
// real file system and without the fence.
func PebbleOptions() *pebble.Options {
	p := &Log{cfg: newConfig(nil)}
	f, err := newFence(vfs.Default, "/", func(error) {})
	if err != nil {
		panic(err)
	}
	opts := p.pebbleOptions(f)
	opts.FS = vfs.Default
	return opts
}

// Settle does what the keeper would do now, and returns when it is done.
func (p *Log) Settle() { p.work() }

// WithFlushDelay sets how long range deletes stay in memory.
func WithFlushDelay(d time.Duration) Option { return func(c *config) { c.flushDelay = d } }

// WithKeptBudget sets how many steps of the index one Kept makes.
func WithKeptBudget(n int) Option { return func(c *config) { c.keptBudget = n } }

// WithMaxFloors sets how many floors of topics are remembered.
func WithMaxFloors(n int) Option { return func(c *config) { c.maxFloors = n } }

// WithMemTable sets the size of a memtable, and with that of the write-ahead logs.
func WithMemTable(n uint64) Option { return func(c *config) { c.memTable = n } }

// Fence is the file system behind which a generation works.
type Fence struct{ *fence }

// NewFence returns a fence around base for a directory.
func NewFence(base vfs.FS, dir string) (Fence, error) {
	f, err := newFence(base, dir, func(error) {})
	f.opened.Store(true)
	return Fence{f}, err
}

func (f Fence) Err() error   { return f.err() }
func (f Fence) Fail(e error) { f.fail(e) }
func (f Fence) Drain()       { f.drain() }
func (f Fence) BeginClose()  { f.beginClose() }

// EncodeValue returns the value that a record is kept as.
func EncodeValue(r *persist.Record) []byte {
	v := appendValue(nil, r)
	if len(v) != valueLen(r) {
		panic("valueLen is wrong")
	}
	return v
}

// DecodeValue is the opposite of EncodeValue.
func DecodeValue(id uint64, v []byte) (persist.Record, error) {
	b := persist.NewPageBuilder(0, persist.Limit{})
	if _, err := addValue(&b, id, v); err != nil {
		return persist.Record{}, err
	}
	return b.Page.Records[0], nil
}

// AppendPosting decodes a list of the index.
func AppendPosting(ids []uint64, last uint64, gaps []byte, from, upTo uint64) ([]uint64, error) {
	return appendPosting(ids, last, gaps, from, upTo)
}

// TableEnd returns where a table has to end.
func TableEnd(start []byte, floor uint64) []byte { return tableEnd(start, floor) }

// CountKeys returns how many keys of a kind there are.
func (p *Log) CountKeys(kind byte) (n int) {
	l := loader{db: p.gen.db}
	if err := l.scanKind(kind, func(_, _ []byte) error { n++; return nil }); err != nil {
		panic(err)
	}
	return n
}

// Torn reports whether a manifest is damaged before its end.
func Torn(manifest []byte) bool { return torn(manifest) }

// MarkSize is the size of a mark.
const MarkSize = markSize

// MarkPoints returns the IDs in a mark, oldest first.
func MarkPoints(file []byte) (ids []uint64) {
	points, _ := parseMark(file)
	for _, p := range points {
		ids = append(ids, p.id)
	}
	return ids
}

// ChunkRecords returns how many records the largest chunk has.
func (p *Log) ChunkRecords() (n int) {
	for i := range p.mu.chunks {
		n = max(n, int(p.mu.chunks[i].count))
	}
	return n
}

// CountRuns returns how many runs are on disk.
func (p *Log) CountRuns() (n int) {
	l := loader{db: p.gen.db}
	if err := l.scan(stateRun, []byte{keyState, 'R' + 1}, func(_, _ []byte) error { n++; return nil }); err != nil {
		panic(err)
	}
	return n
}

// Table is the range of keys of a table on disk.
type Table struct{ Smallest, Largest string }

// Tables returns the tables of the database.
func (p *Log) Tables() (tables []Table) {
	levels, err := p.gen.db.SSTables()
	if err != nil {
		panic(err)
	}
	for _, level := range levels {
		for _, t := range level {
			tables = append(tables, Table{string(t.Smallest.UserKey), string(t.Largest.UserKey)})
		}
	}
	return tables
}

// Quiet reports whether nothing is being flushed, compacted, or read for Pebble's statistics.
func (p *Log) Quiet() bool {
	m := p.metrics(p.gen)
	return m.Flush.NumInProgress == 0 && m.Compact.NumInProgress == 0 && m.MemTable.Count <= 1 &&
		m.Table.InitialStatsCollectionComplete && m.Table.PendingStatsCollectionCount == 0
}

// Written returns how many bytes of tables flushes and compactions have written,
// and how many were moved to another level as they were.
func (p *Log) Written() (flushed, compacted, moved uint64) {
	m := p.metrics(p.gen)
	for _, l := range m.Levels {
		flushed += l.TableBytesFlushed
		compacted += l.TableBytesCompacted
		moved += l.TableBytesMoved
	}
	return flushed, compacted, moved
}

// Cached returns how many bytes of tables are kept in memory.
func (p *Log) Cached() int64 { return p.metrics(p.gen).BlockCache.Size }

// Looks is Query, and how much it looked at.
func (p *Log) Looks(q persist.Query, after uint64, lim persist.Limit) (persist.Page, int, error) {
	v, err := p.acquire(context.Background())
	if err != nil {
		return persist.Page{}, 0, err
	}
	defer p.release()
	b := persist.NewPageBuilder(after, lim)
	if after < v.upTo {
		err = v.query(&b, &q, after)
	}
	return b.Page, v.looks, err
}

// Passed returns how many keys of the index retention of topics has passed.
func (p *Log) Passed() int {
	p.maint.Lock()
	defer p.maint.Unlock()
	return p.passed
}
