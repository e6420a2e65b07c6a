package pebblelog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"github.com/spatehub/spate/persist"
)

// The value of a record:
//
//	version 1 | time varint | topic | key | users | frame (the rest)
//
// where topic and key are a length and the bytes, and users a count plus one (0
// is everyone) followed by as many names. Lengths are uvarints. There is no
// checksum: Pebble has its own over log and blocks.
const recordVersion = 1

var errValue = errors.New("persist: malformed record")

func uvarintLen(v uint64) int {
	n := 1
	for v >= 0x80 {
		v >>= 7
		n++
	}
	return n
}

func varintLen(v int64) int { return uvarintLen(uint64(v)<<1 ^ uint64(v>>63)) }

func textLen(s string) int { return uvarintLen(uint64(len(s))) + len(s) }

// valueLen returns the length of the value of r.
func valueLen(r *persist.Record) int {
	n := 1 + varintLen(r.Time) + textLen(r.Topic) + textLen(r.Key) + len(r.Frame)
	if r.Users == nil {
		return n + 1
	}
	n += uvarintLen(uint64(len(r.Users)) + 1)
	for _, u := range r.Users {
		n += textLen(u)
	}
	return n
}

// appendValue appends the value of r.
func appendValue(dst []byte, r *persist.Record) []byte {
	dst = append(dst, recordVersion)
	dst = binary.AppendVarint(dst, r.Time)
	dst = appendText(dst, r.Topic)
	dst = appendText(dst, r.Key)
	if r.Users == nil {
		dst = append(dst, 0)
	} else {
		dst = binary.AppendUvarint(dst, uint64(len(r.Users))+1)
		for _, u := range r.Users {
			dst = appendText(dst, u)
		}
	}
	return append(dst, r.Frame...)
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// header is where the parts of a value are.
type header struct {
	time             int64
	topic0, topic1   int
	key0, key1       int
	users            int // number of them, -1 for everyone
	users0, frame0   int // the names lie between
	usersTextualSize int // sum of the lengths of the names
}

// parseHeader reads all of a value but the frame.
func parseHeader(v []byte) (header, error) {
	var h header
	if len(v) == 0 || v[0] != recordVersion {
		return h, fmt.Errorf("%w: unknown version", errValue)
	}
	t, n := binary.Varint(v[1:])
	if n <= 0 {
		return h, errValue
	}
	h.time = t
	pos := 1 + n
	ok := true
	if h.topic0, h.topic1, ok = span(v, pos); !ok {
		return h, errValue
	}
	if h.key0, h.key1, ok = span(v, h.topic1); !ok {
		return h, errValue
	}
	count, n := binary.Uvarint(v[h.key1:])
	if n <= 0 || count > uint64(len(v)) {
		return h, errValue
	}
	h.users, h.users0 = int(count)-1, h.key1+n
	h.frame0 = h.users0
	for i := 0; i < h.users; i++ {
		from, to, ok := span(v, h.frame0)
		if !ok {
			return h, errValue
		}
		h.usersTextualSize += to - from
		h.frame0 = to
	}
	return h, nil
}

// span finds a text at pos.
func span(v []byte, pos int) (from, to int, ok bool) {
	// Nearly all names are shorter than 128 bytes.
	if pos < len(v) && v[pos] < 0x80 {
		from = pos + 1
		to = from + int(v[pos])
		return from, to, to <= len(v)
	}
	l, n := binary.Uvarint(v[min(pos, len(v)):])
	if n <= 0 || l > uint64(len(v)-pos-n) {
		return 0, 0, false
	}
	from = pos + n
	return from, from + int(l), true
}

// size is Record.Size of the record with this header.
func (h *header) size(v []byte) int {
	return len(v) - h.frame0 + h.topic1 - h.topic0 + h.key1 - h.key0 + h.usersTextualSize
}

// record returns the record whose value is v. It refers to v, which must not be
// changed any more except for the frame. users is an empty list with room.
func (h *header) record(id uint64, v []byte, users []string) persist.Record {
	r := persist.Record{
		ID:    id,
		Topic: text(v[h.topic0:h.topic1]),
		Key:   text(v[h.key0:h.key1]),
		Time:  h.time,
		Frame: v[h.frame0:len(v):len(v)],
	}
	if h.users >= 0 {
		pos := h.users0
		for range h.users {
			from, to, _ := span(v, pos)
			users = append(users, text(v[from:to]))
			pos = to
		}
		r.Users = users
	}
	return r
}

// text is p as a string, without a copy.
func text(p []byte) string {
	if len(p) == 0 {
		return ""
	}
	return unsafe.String(&p[0], len(p))
}

// addValue appends the record with this value to the page, in a copy. It reports
// false, and does nothing, when it does not fit any more.
func addValue(b *persist.PageBuilder, id uint64, v []byte) (bool, error) {
	h, err := parseHeader(v)
	if err != nil {
		return false, fmt.Errorf("record %d: %w", id, err)
	}
	if !b.Fits(len(v) - h.frame0) {
		return false, nil
	}
	var users []string
	if h.users >= 0 {
		users = b.Users(h.users)
	}
	b.Add(h.record(id, b.Copy(v), users))
	return true, nil
}
