package engine

import "github.com/spatehub/spate/wire"

// Form says how the bytes of a connection are framed. What goes out to many
// connections is made once for each form that is there, and shared.
//
// Inside of the hub a form also says how the bytes are coded: framing × encoding.
type Form uint8

const (
	// FormPlain is frames as they are: something else tells the peer where the
	// body ends.
	FormPlain Form = iota

	// FormChunked is HTTP/1.1's chunked transfer coding, a chunk for each frame, or
	// for each coded run. An orderly end is a disconnect event and the last chunk,
	// so that a peer can tell it from a hub that is gone.
	FormChunked

	framings // their number
)

// maxEncodings bounds the encodings of a hub.
const maxEncodings = 3

// forms is the number of forms: those that are not coded come first.
const forms = framings * (1 + maxEncodings)

// chunkRoom is what a chunk needs in front of its frame.
const chunkRoom = wire.ChunkHeadroom

// coded says whether the bytes have a content coding.
func (f Form) coded() bool { return f >= framings }

// framing is the form without its encoding.
func (f Form) framing() Form { return f % framings }

// encoding is the index of a coded form's encoding in the hub's list.
func (f Form) encoding() int { return int(f/framings) - 1 }

// withEncoding is the form with the encoding of that index, none where it is -1.
func (f Form) withEncoding(i int) Form { return f.framing() + framings*Form(i+1) }

// in returns a plain frame in the framing, copied unless it is plain.
func (f Form) in(frame []byte) []byte {
	if f == FormChunked {
		return f.append(nil, frame)
	}
	return frame
}

// append appends a plain frame in the framing.
func (f Form) append(dst, frame []byte) []byte {
	if f == FormChunked {
		return wire.AppendChunk(dst, frame)
	}
	return append(dst, frame...)
}

// word is a frame of the hub's own.
type word struct {
	made [framings][]byte
	last bool // it ends its stream
}

func newWord(frame []byte) (w word) {
	for f := range framings {
		w.made[f] = f.in(frame)
	}
	return w
}

// lastWord is a word that ends its stream.
func lastWord(frame []byte) word {
	w := newWord(frame)
	w.made[FormChunked] = append(w.made[FormChunked], wire.LastChunk...)
	w.last = true
	return w
}

// silent says that there is no word.
func (w *word) silent() bool { return w.made[FormPlain] == nil }

// word returns a word in the form, valid until the next call.
func (s *shard) word(w *word, f Form) []byte {
	if !f.coded() {
		return w.made[f]
	}
	b, at := s.hub.appendCoded(s.words.spoken[:0], f.encoding(), w.made[FormPlain])
	if w.last && f.framing() == FormChunked {
		b = append(b, wire.LastChunk...)
		at.end = len(b)
	}
	s.words.spoken = b
	return at.in(b, f)
}
