package wire

// This file is the chunked transfer coding of HTTP/1.1 (RFC 9112, 7.1), as far
// as a stream of events needs it: each frame is a chunk of its own, so that
// what was sent in part is never more than the rest of one frame, and the plain
// frame is the inner part of its chunk.

const (
	// ChunkHeadroom is the room that [PutChunk] needs: eight hexadecimal digits
	// and a line end.
	ChunkHeadroom = 10

	// ChunkEnd is what stands behind the data of a chunk.
	ChunkEnd = "\r\n"

	// LastChunk ends a chunked body. Without it the body is incomplete, and its
	// receiver knows that.
	LastChunk = "0\r\n\r\n"
)

// PutChunk writes the size line of a chunk whose data are b[off:off+n] so that
// it ends just before b[off], and returns where it starts. With [ChunkEnd]
// behind the data, b[start:] is the chunk. off must be at least [ChunkHeadroom]
// and n from 1 to 2^32-1; otherwise PutChunk panics.
func PutChunk(b []byte, off, n int) (start int) {
	if off < ChunkHeadroom || n <= 0 || uint64(n) >= 1<<32 {
		panic("wire: no room for a chunk's size, or no size of a chunk")
	}
	i := off - 2
	b[i], b[i+1] = '\r', '\n'
	for ; n > 0; n >>= 4 {
		i--
		b[i] = "0123456789abcdef"[n&15]
	}
	return i
}

// AppendChunk appends data as one chunk, nothing if there are none: an empty
// chunk would end the body.
func AppendChunk(dst, data []byte) []byte {
	if len(data) == 0 {
		return dst
	}
	var room [ChunkHeadroom]byte
	dst = append(dst, room[PutChunk(room[:], len(room), len(data)):]...)
	dst = append(dst, data...)
	return append(dst, ChunkEnd...)
}
