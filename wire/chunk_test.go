package wire_test

import (
	"bytes"
	"io"
	"math"
	"net/http/httputil"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/wire"
)

// A frame made with headroom is both: the chunk, and the plain frame inside.
func TestPutChunk(t *testing.T) {
	const room = wire.ChunkHeadroom + wire.IDHeadroom
	for _, data := range []string{"", "x", strings.Repeat("y", 300), strings.Repeat("z", 70_000)} {
		for _, id := range []uint64{0, 7, math.MaxUint64} {
			b, err := wire.AppendBody(make([]byte, room), &wire.Event{Data: data})
			require.NoError(t, err)
			off := wire.ChunkHeadroom + wire.PutID(b[wire.ChunkHeadroom:], id)
			start := wire.PutChunk(b, off, len(b)-off)
			b = append(b, wire.ChunkEnd...)
			frame := b[off : len(b)-len(wire.ChunkEnd)]
			require.Equal(t, "id: "+wire.FormatID(id)+"\ndata: "+data+"\n\n", string(frame))
			require.Equal(t, string(wire.AppendChunk(nil, frame)), string(b[start:]))
			require.Equal(t, string(frame), unchunked(t, append(b[start:], wire.LastChunk...)))
		}
	}
}

func TestPutChunkPanics(t *testing.T) {
	b := make([]byte, 64)
	for _, c := range []struct{ off, n int }{{wire.ChunkHeadroom - 1, 1}, {wire.ChunkHeadroom, 0}, {wire.ChunkHeadroom, -1}, {wire.ChunkHeadroom, 1 << 32}} {
		require.Panics(t, func() { wire.PutChunk(b, c.off, c.n) }, "%+v", c)
	}
	require.Equal(t, 0, wire.PutChunk(b, wire.ChunkHeadroom, 1<<32-1))
	require.Equal(t, "ffffffff\r\n", string(b[:wire.ChunkHeadroom]))
}

// Data of any size come out of the standard library's reader as they went in,
// and none end the body.
func TestAppendChunk(t *testing.T) {
	require.Empty(t, wire.AppendChunk(nil, nil))
	var stream, want []byte
	for n := range 300 {
		data := bytes.Repeat([]byte{byte(n)}, n)
		stream, want = wire.AppendChunk(stream, data), append(want, data...)
	}
	require.Equal(t, string(want), unchunked(t, append(stream, wire.LastChunk...)))
}

// unchunked reads a body that must be complete, and end where stream ends.
func unchunked(t *testing.T, stream []byte) string {
	body, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(stream)))
	require.NoError(t, err)
	require.True(t, bytes.HasSuffix(stream, []byte(wire.LastChunk)))
	return string(body)
}
