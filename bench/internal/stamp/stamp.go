// Package stamp marks the events of a benchmark with their number and due time, in the text that loadtest reads (see
// docs/loadtest.md), so that either reader can check any of the servers:
//
//	@lt1.<run>.<lane>.<kind><index>.<seq>.<sent ns>.<size>;xxxx...
//
// Numbers are lower-case hexadecimal. A benchmark has one publisher, so the lane is always 0.
package stamp

import "strconv"

// Marker begins every stamp. Its first byte occurs nowhere else in the streams of a benchmark.
const Marker = "@lt1."

// Kind says whom an event is for.
type Kind byte

// The kinds of audience.
const (
	Broadcast Kind = 'b' // everyone; the index is 0
	User      Kind = 'u' // one user, by index
	Topic     Kind = 't' // the followers of one topic, by index
)

// Stamp is the content of one mark.
type Stamp struct {
	Run   uint32
	Kind  Kind
	Index uint32 // which user or topic
	Seq   uint64 // number among the events for this index, from 1
	Sent  int64  // when it was due, nanoseconds since the Unix epoch
	Size  uint32 // bytes from the marker to the end of the padding
}

// Append appends the stamp, padded to s.Size bytes, or to its own length where that is more. It allocates only to grow
// dst.
func Append(dst []byte, s Stamp) []byte {
	start := len(dst)
	dst = append(dst, Marker...)
	dst = strconv.AppendUint(dst, uint64(s.Run), 16)
	dst = append(dst, ".0."...)
	dst = append(dst, byte(s.Kind))
	dst = strconv.AppendUint(dst, uint64(s.Index), 16)
	dst = append(dst, '.')
	dst = strconv.AppendUint(dst, s.Seq, 16)
	dst = append(dst, '.')
	dst = strconv.AppendUint(dst, uint64(s.Sent), 16)
	dst = append(dst, '.')
	const maxSizeField = 9 // eight digits and the semicolon
	size := max(int(s.Size), len(dst)-start+maxSizeField)
	dst = strconv.AppendUint(dst, uint64(size), 16)
	dst = append(dst, ';')
	for len(dst)-start < size {
		dst = append(dst, 'x')
	}
	return dst
}

// Parse reads the stamp that b begins with and returns how long its head is, through the semicolon. Fewer bytes than a
// whole head are no error: head is 0, and more are needed. ok is false for what is no stamp.
func Parse(b []byte) (s Stamp, head int, ok bool) {
	if n := min(len(b), len(Marker)); string(b[:n]) != Marker[:n] {
		return s, 0, false
	}
	p := scanner{b: b, at: len(Marker)}
	s.Run = uint32(p.number('.'))
	p.number('.')
	if p.at < len(b) {
		s.Kind = Kind(b[p.at])
		p.at++
	}
	s.Index = uint32(p.number('.'))
	s.Seq = p.number('.')
	s.Sent = int64(p.number('.'))
	s.Size = uint32(p.number(';'))
	switch {
	case p.bad:
		return s, 0, false
	case p.short:
		return s, 0, true
	}
	known := s.Kind == Broadcast || s.Kind == User || s.Kind == Topic
	return s, p.at, known && s.Seq > 0 && int(s.Size) >= p.at
}

// scanner reads hexadecimal numbers; after a fault or the end it reads zeros.
type scanner struct {
	b          []byte
	at         int
	bad, short bool
}

func (p *scanner) number(end byte) uint64 {
	var v uint64
	for i := p.at; !p.bad && !p.short && i < p.at+18; i++ {
		if i >= len(p.b) {
			p.short = true
			return 0
		}
		c := p.b[i]
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		case c == end && i > p.at:
			p.at = i + 1
			return v
		default:
			p.bad = true
			return 0
		}
	}
	p.bad = !p.short
	return 0
}
