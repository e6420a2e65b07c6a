package pebblelog

import "encoding/binary"

// The keys of a Pebble log. Numbers are big-endian, so that they sort.
//
//	e <id 8>                          a record
//	f <topic>                         floor of a topic
//	i <segment 6> <stream> 0 <low 3>  index: this ID is in this stream, and those
//	                                  before it that the value lists
//	k <topic>                         counters of a topic that has bounds
//	m <first id 8>                    a closed chunk of records
//	s F | s L | s T | s V             floor, last ID, topics counted, format version
//	s C | s G                         common floor of topics, newest time below the floor
//	s H                               how often the log was healed
//	s B                               common floor of topics that had bounds before
//	s R <first id 8>                  a run
//
// The index is cut into segments of 2^18 IDs: what retention has passed goes with
// one range delete, whatever the number of streams, and a reader of a sparse
// stream needs one or two seeks for a segment. A name of a stream holds no NUL
// byte, so the 0 behind it ends it.
//
// The value of an index key is the gaps between the IDs of its list, ascending,
// as uvarints. A list has the ID of its last record for its key, so that a seek
// to an ID finds the list which may hold it. All records of a list are of one
// batch and one segment.
const (
	keyRecord  = 'e'
	keyFloor   = 'f'
	keyIndex   = 'i'
	keyCounter = 'k'
	keyChunk   = 'm'
	keyState   = 's'

	segmentBits = 18
	segmentMask = 1<<segmentBits - 1
	indexHead   = 1 + 6 // before the name of the stream
	indexTail   = 1 + 3 // behind it
)

var (
	stateFormer  = []byte{keyState, 'B'}
	stateCommon  = []byte{keyState, 'C'}
	stateFloor   = []byte{keyState, 'F'}
	stateGone    = []byte{keyState, 'G'}
	stateHeals   = []byte{keyState, 'H'}
	stateLast    = []byte{keyState, 'L'}
	stateLost    = []byte{keyState, 'X'}
	stateRun     = []byte{keyState, 'R'} // + first ID: a run
	stateTopics  = []byte{keyState, 'T'}
	stateVersion = []byte{keyState, 'V'}
)

func appendIDKey(dst []byte, kind byte, id uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, kind), id)
}

func recordKey(dst []byte, id uint64) []byte { return appendIDKey(dst, keyRecord, id) }

func chunkKey(dst []byte, first uint64) []byte { return appendIDKey(dst, keyChunk, first) }

// keyID returns the ID in a key of appendIDKey.
func keyID(key []byte) uint64 { return binary.BigEndian.Uint64(key[1:]) }

func topicKey(kind byte, topic string) []byte { return append([]byte{kind}, topic...) }

// appendSegment appends the start of the keys of a segment.
func appendSegment(dst []byte, seg uint64) []byte {
	return append(dst, keyIndex, byte(seg>>40), byte(seg>>32), byte(seg>>24), byte(seg>>16), byte(seg>>8), byte(seg))
}

// indexSegment returns the segment of an index key.
func indexSegment(key []byte) uint64 {
	return uint64(key[1])<<40 | uint64(key[2])<<32 | uint64(binary.BigEndian.Uint32(key[3:]))
}

// appendStream appends the start of the keys of a stream in a segment.
func appendStream(dst []byte, seg uint64, stream string) []byte {
	return append(append(appendSegment(dst, seg), stream...), 0)
}

// appendLow appends the end of an index key.
func appendLow(dst []byte, id uint64) []byte {
	low := id & segmentMask
	return append(dst, byte(low>>16), byte(low>>8), byte(low))
}

func indexKey(dst []byte, stream string, id uint64) []byte {
	return appendLow(appendStream(dst, id>>segmentBits, stream), id)
}

// indexID returns the ID of an index key in this segment.
func indexID(seg uint64, key []byte) uint64 {
	low := key[len(key)-3:]
	return seg<<segmentBits | uint64(low[0])<<16 | uint64(low[1])<<8 | uint64(low[2])
}

// putIndexKey writes the index key of a record into dst, whose length is
// indexKeyLen of its name.
func putIndexKey(dst []byte, prefix, name string, id uint64) {
	dst = appendSegment(dst[:0], id>>segmentBits)
	dst = append(append(append(dst, prefix...), name...), 0)
	appendLow(dst, id)
}

func indexKeyLen(prefix, name string) int { return indexHead + len(prefix) + len(name) + indexTail }
