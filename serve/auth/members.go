package auth

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// This file takes objects apart. encoding/json would take a name in other letters for
// the same one and the last of two for the only one, or as a stream of tokens allocate
// for each: a token is read for each connection.

// member is one of an object's.
type member struct {
	name  string
	value json.RawMessage // of the text that was taken apart
}

// errNoObject is told of JSON that is something else.
var errNoObject = errors.New("must be an object")

// members returns the members of an object, which is valid JSON, by their names. None
// may be there twice: it would be anybody's guess which of the two counts.
func members(at string, text []byte) ([]member, error) {
	all, err := split(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", shown(at), err)
	}
	slices.SortFunc(all, func(a, b member) int { return cmp.Compare(a.name, b.name) })
	for i := range all {
		if i > 0 && all[i].name == all[i-1].name {
			return nil, fmt.Errorf("%s: has %.100q twice", shown(at), all[i].name)
		}
	}
	return all, nil
}

// find returns the value of a name among members in their order, nil where it is not
// there.
func find(all []member, name string) json.RawMessage {
	i, ok := slices.BinarySearchFunc(all, name, func(m member, name string) int { return strings.Compare(m.name, name) })
	if !ok {
		return nil
	}
	return all[i].value
}

// split takes an object apart, which is valid JSON.
func split(text []byte) ([]member, error) {
	i := blank(text, 0)
	if i == len(text) || text[i] != '{' {
		return nil, errNoObject
	}
	all := make([]member, 0, 8)
	for i = blank(text, i+1); text[i] != '}'; {
		end := value(text, i)
		var m member
		if err := textOf(text[i:end], &m.name); err != nil {
			return nil, err
		}
		i = blank(text, blank(text, end)+1) // behind the colon
		end = value(text, i)
		m.value = text[i:end:end]
		all = append(all, m)
		if i = blank(text, end); text[i] == ',' {
			i = blank(text, i+1)
		}
	}
	return all, nil
}

// blank returns where the white space from i on ends.
func blank(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r') {
		i++
	}
	return i
}

// value returns where the value that begins at i ends.
func value(text []byte, i int) int {
	for depth := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			for i++; text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // behind a number or a word
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	return i
}

// textOf reads a text. Most have nothing to be undone.
func textOf(v []byte, to *string) error {
	for _, c := range v[1 : len(v)-1] {
		if c == '\\' || c >= 0x80 {
			return json.Unmarshal(v, to)
		}
	}
	*to = string(v[1 : len(v)-1])
	return nil
}
