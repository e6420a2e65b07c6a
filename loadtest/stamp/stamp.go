// Package stamp writes and reads the mark by which the load tester knows an
// event again: which run and which publisher it comes from, whom it is for, its
// number, when it was due, and a checksum of every byte.
//
// loadtest's own publisher stamps what it sends. A service that publishes by
// itself can do the same with a [Sequence], or in any other language with a few
// lines (docs/loadtest.md); then loss, doubles, order and delay are told for it
// too.
//
// The mark is plain text without any byte that JSON or HTML escaping would
// change, so it survives servers that quote the data or wrap it in an envelope:
//
//	@lt2.<run>.<lane>.<kind><index>.<seq>.<due ns>.<size>.<crc>;content
//
// All numbers are lower-case hexadecimal without leading zeros, but for the
// checksum, which has eight digits. size counts the bytes from the @ to the end
// of the content. crc is the CRC-32 (IEEE, as of zlib) of these bytes without
// the nine of the checksum and its semicolon.
package stamp

import (
	"bytes"
	"hash/crc32"
	"strings"
)

// Marker begins every stamp.
const Marker = "@lt2."

// MaxHead is the most bytes that a stamp takes before its content.
const MaxHead = len(Marker) + 9 + 9 + 10 + 17 + 17 + 9 + crcField

// crcField is the length of a checksum with its semicolon.
const crcField = 9

// padding fills events up to their size.
const padding = 'x'

var padText = []byte(strings.Repeat(string(padding), 256))

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
	Sent  int64  // when it was due, nanoseconds since the Unix epoch
	Size  uint32 // bytes from the marker to the end of the content
}

// Verdict is what Parse made of an event's data.
type Verdict uint8

// The verdicts.
const (
	Missing Verdict = iota // no stamp: not an event of a load test
	Intact                 // a stamp, and every byte as it was sent
	Corrupt                // a stamp, but bytes are missing or changed
)

// Append appends the stamp and pads it to s.Size bytes in all. If s.Size is too
// small for the mark itself, the event is as long as the mark. It allocates
// only to grow dst.
func Append(dst []byte, s Stamp) []byte {
	start := len(dst)
	dst = appendNumbers(dst, s)
	head := len(dst) - start
	size := max(int(s.Size), head+hexLen(uint64(s.Size))+1+crcField)
	// Writing the size may lengthen the mark past the size it states.
	for size < head+hexLen(uint64(size))+1+crcField {
		size++
	}
	dst, crc := appendSize(dst, start, size)
	for missing := size - (len(dst) - start); missing > 0; missing -= len(padText) {
		dst = append(dst, padText[:min(missing, len(padText))]...)
	}
	seal(dst[start:], crc)
	return dst
}

// Wrap appends the stamp and then content, in place of the padding. s.Size is
// ignored. Content that a server escapes or reformats does not arrive as it was
// sent, and counts as corrupt: leave it empty then, and put the stamp into a
// field of its own.
func Wrap(dst []byte, s Stamp, content []byte) []byte {
	start := len(dst)
	dst = appendNumbers(dst, s)
	least := len(dst) - start + 1 + crcField + len(content)
	size := least + 1
	for size < least+hexLen(uint64(size)) {
		size++
	}
	dst, crc := appendSize(dst, start, size)
	dst = append(dst, content...)
	seal(dst[start:], crc)
	return dst
}

// appendNumbers writes the mark up to and with the dot before the size.
func appendNumbers(dst []byte, s Stamp) []byte {
	dst = append(dst, Marker...)
	dst = append(appendHex(dst, uint64(s.Run)), '.')
	dst = append(appendHex(dst, uint64(s.Lane)), '.', byte(s.Kind))
	dst = append(appendHex(dst, uint64(s.Index)), '.')
	dst = append(appendHex(dst, s.Seq), '.')
	return append(appendHex(dst, uint64(s.Sent)), '.')
}

// appendSize writes the size and leaves room for the checksum, whose offset from
// start it returns.
func appendSize(dst []byte, start, size int) ([]byte, int) {
	dst = append(appendHex(dst, uint64(size)), '.')
	crc := len(dst) - start
	return append(dst, "00000000;"...), crc
}

// seal writes the checksum of event at offset at.
func seal(event []byte, at int) {
	sum := checksum(event, at)
	for i := range 8 {
		event[at+i] = digits[sum>>(28-4*i)&15]
	}
}

// checksum is that of all bytes but those of the checksum field at offset at.
func checksum(event []byte, at int) uint32 {
	return crc32.Update(crc32.ChecksumIEEE(event[:at]), crc32.IEEETable, event[at+crcField:])
}

// Sum reports whether event, all bytes of it and no others, is as it was sent.
// head is the length of its stamp with the semicolon, as [ParseHead] tells it.
func Sum(event []byte, head int) bool {
	at := head - crcField
	var want uint32
	for _, c := range event[at : at+8] {
		want = want<<4 | uint32(value[c]&15)
	}
	return checksum(event, at) == want
}

// Parse finds and reads the stamp in an event's data. It does not allocate. Of a
// corrupt event the content is a guess.
func Parse(data []byte) (Stamp, Verdict) {
	at := find(data)
	if at < 0 {
		if damagedMarker(data) {
			return Stamp{}, Corrupt
		}
		return Stamp{}, Missing
	}
	b := data[at:]
	s, head, ok := ParseHead(b)
	if !ok || head == 0 || int(s.Size) > len(b) || !Sum(b[:s.Size], head) {
		return s, Corrupt
	}
	return s, Intact
}

// ParseHead reads the stamp that b begins with, and returns its length, the
// semicolon included. Fewer bytes than a whole stamp are no error: head is 0,
// and more are needed. ok is false for what is no stamp. It looks at no byte of
// the content.
func ParseHead(b []byte) (s Stamp, head int, ok bool) {
	if n := min(len(b), len(Marker)); string(b[:n]) != Marker[:n] {
		return s, 0, false
	}
	return parseNumbers(b)
}

// parseNumbers is ParseHead for what is taken to begin with a marker.
func parseNumbers(b []byte) (s Stamp, head int, ok bool) {
	p := scanner{b: b, at: len(Marker)}
	s.Run = uint32(p.number('.', 8))
	s.Lane = uint32(p.number('.', 8))
	if p.at < len(b) {
		s.Kind = Kind(b[p.at])
		p.at++
	}
	s.Index = uint32(p.number('.', 8))
	s.Seq = p.number('.', 16)
	s.Sent = int64(p.number('.', 16))
	s.Size = uint32(p.number('.', 8))
	from := p.at
	p.number(';', 8)
	switch {
	case p.bad:
		return s, 0, false
	case p.short:
		return s, 0, true
	}
	known := s.Kind == Broadcast || s.Kind == User || s.Kind == Topic
	return s, p.at, known && s.Seq > 0 && p.at-from == crcField && int(s.Size) >= p.at
}

// scanner reads hexadecimal numbers; after a fault or the end it reads zeros.
type scanner struct {
	b          []byte
	at         int
	bad, short bool
}

// number reads at most most digits, which must be followed by end.
func (p *scanner) number(end byte, most int) (v uint64) {
	if p.bad || p.short {
		return 0
	}
	for i := p.at; i <= p.at+most; i++ {
		if i >= len(p.b) {
			p.short = true
			return 0
		}
		d := value[p.b[i]]
		if d == 0xff {
			p.bad = p.b[i] != end || i == p.at
			p.at = i + 1
			return v
		}
		v = v<<4 | uint64(d)
	}
	p.bad = true
	return 0
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

// damagedMarker reports whether data holds a stamp whose marker was changed: all
// that follows has a stamp's form, and at least two of the marker's five bytes
// are right. Nothing else looks like that by chance.
func damagedMarker(data []byte) bool {
	for at := 0; at+len(Marker) < len(data); at++ {
		same := 0
		for i := range len(Marker) {
			if data[at+i] == Marker[i] {
				same++
			}
		}
		if same < 2 {
			continue
		}
		if _, head, ok := parseNumbers(data[at:]); ok && head > 0 {
			return true
		}
	}
	return false
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
