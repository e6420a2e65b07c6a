// Package stamp writes and reads the mark that the publisher leaves at the
// start of an event's data: which run and which publishing connection it comes
// from, whom it is for, its number and when it was meant to be sent.
//
// The mark is plain text without any byte that JSON or HTML escaping would
// change, so it survives servers that quote the data or wrap it in an envelope:
//
//	@lt1.<run>.<lane>.<kind><index>.<seq>.<sent ns>.<size>;xxxx...
//
// All numbers are lower-case hexadecimal without leading zeros.
package stamp

import (
	"bytes"
	"strings"
)

// Marker begins every stamp.
const Marker = "@lt1."

// padding fills events up to their size.
const padding = 'x'

var padText = strings.Repeat(string(padding), 256)

// Kind says whom an event is for.
type Kind byte

// The three kinds of audience.
const (
	Broadcast Kind = 'b' // everyone; the index is 0
	User      Kind = 'u' // one user, by index
	Topic     Kind = 't' // the followers of one topic, by index
)

// Stamp is the content of one mark.
type Stamp struct {
	Run   uint32 // identifies the run; other runs' events are foreign
	Lane  uint32 // publishing connection: events of one lane and target are numbered in the order of sending
	Kind  Kind
	Index uint32 // which user or topic
	Seq   uint64 // number within lane and target, from 1
	Sent  int64  // intended send time, nanoseconds since the Unix epoch
	Size  uint32 // bytes from the marker to the end of the padding
}

// Verdict is what Parse made of an event's data.
type Verdict uint8

// The verdicts.
const (
	Missing Verdict = iota // no stamp: not an event of a load test
	Intact                 // a stamp, and as many bytes as were sent
	Corrupt                // a marker, but a malformed stamp or a shortened event
)

// Append appends the stamp and pads it to s.Size bytes in all. If s.Size is too
// small for the mark itself, the event is as long as the mark. It allocates
// only to grow dst.
func Append(dst []byte, s Stamp) []byte {
	start := len(dst)
	dst = append(dst, Marker...)
	dst = appendHex(dst, uint64(s.Run))
	dst = append(dst, '.')
	dst = appendHex(dst, uint64(s.Lane))
	dst = append(dst, '.', byte(s.Kind))
	dst = appendHex(dst, uint64(s.Index))
	dst = append(dst, '.')
	dst = appendHex(dst, s.Seq)
	dst = append(dst, '.')
	dst = appendHex(dst, uint64(s.Sent))
	dst = append(dst, '.')
	head := len(dst) - start
	size := max(int(s.Size), head+hexLen(uint64(s.Size))+1)
	// Writing the size may lengthen the mark past the size it states.
	for size < head+hexLen(uint64(size))+1 {
		size++
	}
	dst = appendHex(dst, uint64(size))
	dst = append(dst, ';')
	for missing := size - (len(dst) - start); missing > 0; missing -= len(padText) {
		dst = append(dst, padText[:min(missing, len(padText))]...)
	}
	return dst
}

// Parse finds and reads the stamp in an event's data. It does not allocate.
func Parse(data []byte) (Stamp, Verdict) {
	at := find(data)
	if at < 0 {
		return Stamp{}, Missing
	}
	b := data[at:]
	p := len(Marker)
	var s Stamp
	var v uint64
	var ok bool
	if v, p, ok = field(b, p, '.'); !ok {
		return s, Corrupt
	}
	s.Run = uint32(v)
	if v, p, ok = field(b, p, '.'); !ok || p >= len(b) {
		return s, Corrupt
	}
	s.Lane = uint32(v)
	s.Kind = Kind(b[p])
	if v, p, ok = field(b, p+1, '.'); !ok {
		return s, Corrupt
	}
	s.Index = uint32(v)
	if s.Seq, p, ok = field(b, p, '.'); !ok {
		return s, Corrupt
	}
	if v, p, ok = field(b, p, '.'); !ok {
		return s, Corrupt
	}
	s.Sent = int64(v)
	if v, p, ok = field(b, p, ';'); !ok || v > uint64(len(b)) || v < uint64(p) {
		return s, Corrupt
	}
	s.Size = uint32(v)
	switch s.Kind {
	case Broadcast, User, Topic:
	default:
		return s, Corrupt
	}
	if s.Seq == 0 || b[v-1] != padding && b[v-1] != ';' {
		return s, Corrupt
	}
	return s, Intact
}

// find returns the offset of the marker: 0 and 1 (a quoted string) are tried
// first, because that is where nearly all servers leave it.
func find(data []byte) int {
	if hasMarker(data) {
		return 0
	}
	if len(data) > 0 && hasMarker(data[1:]) {
		return 1
	}
	return bytes.Index(data, []byte(Marker))
}

func hasMarker(b []byte) bool {
	return len(b) >= len(Marker) && string(b[:len(Marker)]) == Marker
}

const digits = "0123456789abcdef"

func appendHex(dst []byte, v uint64) []byte {
	for shift := (hexLen(v) - 1) * 4; shift >= 0; shift -= 4 {
		dst = append(dst, digits[v>>shift&15])
	}
	return dst
}

func hexLen(v uint64) int {
	n := 1
	for v >>= 4; v > 0; v >>= 4 {
		n++
	}
	return n
}

// value maps a hexadecimal digit to itself and everything else to 0xff.
var value = func() (t [256]uint8) {
	for i := range t {
		t[i] = 0xff
	}
	for i := range digits {
		t[digits[i]] = uint8(i)
	}
	return t
}()

// field reads a hexadecimal number that ends with the byte end, from offset p,
// and returns the offset after it.
func field(b []byte, p int, end byte) (v uint64, next int, ok bool) {
	for i := p; i < len(b) && i <= p+16; i++ {
		d := value[b[i]]
		if d == 0xff {
			return v, i + 1, b[i] == end && i > p
		}
		v = v<<4 | uint64(d)
	}
	return 0, 0, false
}
