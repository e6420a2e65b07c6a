package engine

import (
	"strings"

	"github.com/spatehub/spate/wire"
)

// Encoding is a content coding that streams may have. Package compress has some.
//
// A run of events is coded once and sent to many connections, whatever each of them
// got before. So a coded run must not refer to an earlier one, and a receiver must
// have all of it without what follows. All methods may be called from any goroutine.
type Encoding interface {
	// Name is the coding's name in Content-Encoding: letters, all small, digits and
	// hyphens.
	Name() string

	// AppendStart appends what a stream begins with, before any run. The transport
	// sends it: a Sink gets runs alone.
	AppendStart(dst []byte) []byte

	// AppendRun appends the coded run, which is not empty and must not be kept. A
	// short run it should rather store than code.
	AppendRun(dst, run []byte) []byte
}

// WithEncodings has the hub code streams that ask for it (Subscription.Encoding), in
// order of the hub's preference, at most three. Runs of events are coded once for all
// connections of a shard that get them.
//
// Events are coded together only where they have the same audience: one that chooses
// what an event says, and sees how long its coding is, learns nothing of events for
// others. What it says beside a secret within one event, or to one audience, is the
// application's to keep apart.
func WithEncodings(list ...Encoding) HubOption {
	return func(c *config) { c.encodings = append(c.encodings, list...) }
}

// correctEncodings leaves out encodings that could not be told apart, or named.
func (c *config) correctEncodings() {
	var used []Encoding
	for _, e := range c.encodings {
		switch {
		case e == nil || strings.Trim(e.Name(), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || e.Name() == "" || e.Name() == "identity":
			c.logger.Warn("spate: an encoding without a name of its own is left out")
		case encodingNamed(used, e.Name()) >= 0:
			c.logger.Warn("spate: an encoding that is given twice is left out once", "encoding", e.Name())
		case len(used) == maxEncodings:
			c.logger.Warn("spate: one encoding too many is left out", "encoding", e.Name(), "most", maxEncodings)
		default:
			used = append(used, e)
		}
	}
	c.encodings = used
}

// encodingNamed returns the index of the encoding, -1 where it is not in the list.
func encodingNamed(list []Encoding, name string) int {
	for i, e := range list {
		if e.Name() == name {
			return i
		}
	}
	return -1
}

// Encodings returns the hub's encodings, in its order of preference. The list is
// the hub's.
func (h *Hub) Encodings() []Encoding { return h.cfg.encodings }

// formIn returns the framing with the encoding of that name, none where it is "". ok is
// false where the hub does not have it; then the form is not coded.
func (h *Hub) formIn(f Form, name string) (_ Form, ok bool) {
	i := -1
	if name != "" {
		i = encodingNamed(h.cfg.encodings, name)
	}
	return f.withEncoding(i), i >= 0 || name == ""
}

// formsUsed is how many of the forms connections may have.
func (h *Hub) formsUsed() int { return int(framings) * (1 + len(h.cfg.encodings)) }

// codedSpan is where a coded run lies in a buffer, as a chunk. As a connection's
// frames are the inner part of their chunks, so is a plain run.
type codedSpan struct{ start, inner, end int }

// in returns the run in a coded form.
func (c codedSpan) in(buf []byte, f Form) []byte {
	if f.framing() == FormPlain {
		return buf[c.inner : c.end-len(wire.ChunkEnd)]
	}
	return buf[c.start:c.end]
}

// appendCoded appends frames, which are not empty, as one coded run.
func (h *Hub) appendCoded(dst []byte, encoding int, frames []byte) ([]byte, codedSpan) {
	var room [chunkRoom]byte
	dst = append(dst, room[:]...)
	inner := len(dst)
	dst = h.cfg.encodings[encoding].AppendRun(dst, frames)
	start := wire.PutChunk(dst, inner, len(dst)-inner)
	dst = append(dst, wire.ChunkEnd...)
	return dst, codedSpan{start, inner, len(dst)}
}

// What is coded costs, in the unit of a byte that is written: beside writeCost for
// each run, so much for each byte of it.
const codeCost = 8
