package pebblelog

import "github.com/cockroachdb/pebble/v2"

// How the files of the database are cut, so that hardly anything is written twice.
//
// Records arrive in the order of their keys, and so do chunks and, but for the
// streams of the newest segment, index entries. A flush puts each kind into a table
// of its own, and none of them overlaps an older one of its kind. Pebble can then
// move tables of records down to the last level as they are. Left alone, it writes
// a table from the first key of the memtable to the last, of whatever kinds, each
// overlaps all others, and compactions rewrite everything.
//
// Measured (3 million records of 230 bytes that do not compress, batches of 256,
// 2 × Xeon 2.0 GHz, the same keys with and without): 1.9 µs of processor time a
// record against 3.6 µs, and 1.9 bytes written for one against 3.0, write-ahead log
// included.

const (
	// tableSize is the size of a table of a flush: the records of a memtable shall
	// be one table.
	tableSize = memTableSize

	// baseTableSize is the size of what compactions out of level 0 write. Pebble
	// takes along neighbours that overlap with nothing, up to 25 times this size,
	// and rewrites them; small enough, it leaves them out and moves them one by
	// one. What is written then is mostly the index, so there are few of these
	// tables. lowerTableSize is that of the levels below.
	baseTableSize  = 128 << 10
	lowerTableSize = 8 << 20

	// level0Tables is from how many tables on Pebble moves some down. Level 0 is
	// where a range delete does not yet reach, so it shall not hold much.
	level0Tables = 32
)

// cutTables sets the options for the above.
func (p *Log) cutTables(opts *pebble.Options) {
	opts.TargetFileSizes[0] = tableSize
	opts.TargetFileSizes[1] = baseTableSize
	for i := 2; i < len(opts.TargetFileSizes); i++ {
		opts.TargetFileSizes[i] = lowerTableSize
	}
	opts.L0CompactionFileThreshold = level0Tables
	opts.Experimental.SpanPolicyFunc = func(start []byte) (pebble.SpanPolicy, []byte, error) {
		return pebble.SpanPolicy{}, tableEnd(start, p.floor.Load()), nil
	}
}

// tableEnd returns the key before which a table that begins with start has to end.
// What retention has removed is kept apart from what there is, or the table of a
// range delete and the newest records would overlap all that lie between.
func tableEnd(start []byte, floor uint64) []byte {
	var live []byte // the first key of the kind that is not removed
	switch kind := start[0]; kind {
	case keyRecord, keyChunk:
		live = appendIDKey(nil, kind, floor+1)
	case keyIndex:
		live = appendSegment(nil, (floor+1)>>segmentBits)
	}
	if string(start) < string(live) {
		return live
	}
	return []byte{start[0] + 1}
}
