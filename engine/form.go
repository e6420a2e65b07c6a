package engine

import "github.com/spatehub/spate/wire"

// Form says how the bytes of a connection are framed. What goes out to many
// connections is made once for each form that is there, and shared.
type Form uint8

const (
	// FormPlain is frames as they are: something else tells the peer where the
	// body ends.
	FormPlain Form = iota

	// FormChunked is HTTP/1.1's chunked transfer coding, a chunk for each frame.
	// An orderly end is a disconnect event and the last chunk, so that a peer can
	// tell it from a hub that is gone.
	FormChunked

	forms // their number
)

// chunkRoom is what a chunk needs in front of its frame.
const chunkRoom = wire.ChunkHeadroom

// in returns a plain frame in the form, copied unless it is plain.
func (f Form) in(frame []byte) []byte {
	if f == FormChunked {
		return f.append(nil, frame)
	}
	return frame
}

// append appends a plain frame in the form.
func (f Form) append(dst, frame []byte) []byte {
	if f == FormChunked {
		return wire.AppendChunk(dst, frame)
	}
	return append(dst, frame...)
}

// word is a frame of the hub's own, in every form.
type word [forms][]byte

func newWord(frame []byte) (w word) {
	for f := range forms {
		w[f] = f.in(frame)
	}
	return w
}

// lastWord is a word that ends its stream.
func lastWord(frame []byte) word {
	w := newWord(frame)
	w[FormChunked] = append(w[FormChunked], wire.LastChunk...)
	return w
}
