package stream

import (
	"bytes"
	"io"
	"strings"
	"unsafe"

	"github.com/spatehub/spate/wire"
)

// A body's list of users may be nearly all of it: ten thousand names. Where nothing is
// odd about it, it is cut out and read by itself, and the names are parts of the body.
// All else, and all that is wrong, is left to pushDecoder, which says what and where.

// cutUsers returns the names in the body's list of users, which must not be changed from
// here on, and the body without the
// list, in which an empty one stands for it. ok is false where the list is to be read as
// part of the body.
func cutUsers(body []byte, maxUsers int) (names []string, rest io.Reader, ok bool) {
	from, to, ok := usersIn(body)
	if !ok {
		return nil, nil, false
	}
	if names, ok = plainNames(body[from:to], maxUsers); !ok {
		return nil, nil, false
	}
	probe := wire.Event{Data: "", Users: names}
	if probe.Validate() != nil {
		return nil, nil, false
	}
	if len(names) == 1 {
		names[0] = strings.Clone(names[0]) // the ring keeps it, and a list's names of its own
	}
	return names, io.MultiReader(bytes.NewReader(body[:from]), bytes.NewReader(body[to:])), true
}

// usersIn finds what lies between the brackets of the list that is the member "uids" of
// the body's object.
func usersIn(body []byte) (from, to int, ok bool) {
	s := scanner{b: body}
	if !s.takes('{') {
		return 0, 0, false
	}
	for {
		key, ok := s.text()
		if !ok || !s.takes(':') {
			return 0, 0, false
		}
		if string(key) == "uids" {
			if !s.takes('[') {
				return 0, 0, false
			}
			from := s.at
			n := bytes.IndexByte(body[from:], ']') // one within a name makes it no list of plain names
			return from, from + n, n >= 0
		}
		if !s.skip() || !s.takes(',') {
			return 0, 0, false
		}
	}
}

// plainNames reads a list of one or more strings without escapes, at most so many.
func plainNames(list []byte, most int) (names []string, ok bool) {
	n := bytes.Count(list, []byte{','}) + 1
	if n > most {
		return nil, false
	}
	names = make([]string, 0, n)
	text := unsafe.String(unsafe.SliceData(list), len(list)) // the body never changes, and is as large
	for s := (scanner{b: list}); ; {
		name, ok := s.text()
		if !ok || len(names) == cap(names) {
			return nil, false
		}
		names = append(names, text[s.at-1-len(name):s.at-1])
		if s.end() {
			return names, true
		}
		if !s.takes(',') {
			return nil, false
		}
	}
}

// scanner walks over JSON that need not be any.
type scanner struct {
	b  []byte
	at int
}

// space passes over white space.
func (s *scanner) space() {
	for s.at < len(s.b) {
		switch s.b[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// end says whether nothing but white space follows.
func (s *scanner) end() bool {
	s.space()
	return s.at == len(s.b)
}

// takes passes over white space and the byte, if that is what follows.
func (s *scanner) takes(c byte) bool {
	s.space()
	if s.at == len(s.b) || s.b[s.at] != c {
		return false
	}
	s.at++
	return true
}

// text passes over white space and a string without escapes and control characters, and
// returns what is in it.
func (s *scanner) text() (inside []byte, ok bool) {
	if !s.takes('"') {
		return nil, false
	}
	n := bytes.IndexByte(s.b[s.at:], '"')
	if n < 0 {
		return nil, false
	}
	inside = s.b[s.at : s.at+n]
	for _, c := range inside {
		if c < ' ' || c == '\\' {
			return nil, false
		}
	}
	s.at += n + 1
	return inside, true
}

// skip passes over a value: to what follows it, if it is one.
func (s *scanner) skip() bool {
	depth := 0
	for s.space(); s.at < len(s.b); s.at++ {
		switch s.b[s.at] {
		case '"':
			if !s.skipText() {
				return false
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return true
			}
			depth--
		case ',':
			if depth == 0 {
				return true
			}
		}
	}
	return false
}

// skipText passes over a string, up to the quote that ends it.
func (s *scanner) skipText() bool {
	for s.at++; s.at < len(s.b); s.at++ {
		switch s.b[s.at] {
		case '"':
			return true
		case '\\':
			s.at++
		}
	}
	return false
}
