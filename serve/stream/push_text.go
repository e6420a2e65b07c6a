package stream

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// This file keeps text as it was sent. encoding/json replaces half of a surrogate
// pair by U+FFFD, so that two users who were never the same would be one.

// mayHaveSurrogates reports whether the JSON has an escape that could be one half
// of a pair. Most bodies have none, and are not looked at more closely.
func mayHaveSurrogates(body []byte) bool {
	return bytes.Contains(body, []byte(`\ud`)) || bytes.Contains(body, []byte(`\uD`))
}

// hasLoneSurrogate reports whether a string, as JSON writes it, has one half of
// a pair without the other.
func hasLoneSurrogate(literal []byte) bool {
	for i := 0; i < len(literal); i++ {
		if literal[i] != '\\' {
			continue
		}
		i++ // what is escaped
		switch half := surrogate(literal[i:]); {
		case half == 0:
		case half >= 0xdc00:
			return true
		default:
			i += len("uXXXX")
			if i >= len(literal) || literal[i] != '\\' || surrogate(literal[i+1:]) < 0xdc00 {
				return true
			}
			i += len("uXXXX")
		}
	}
	return false
}

// surrogate returns the half of a pair that an escape begins with, without its
// backslash, or 0.
func surrogate(escape []byte) uint64 {
	if len(escape) < len("uXXXX") || escape[0] != 'u' {
		return 0
	}
	half, err := strconv.ParseUint(string(escape[1:5]), 16, 16)
	if err != nil || half < 0xd800 || half > 0xdfff {
		return 0
	}
	return half
}

// unquote returns the string that a literal stands for.
func unquote(at string, literal []byte) (string, error) {
	if hasLoneSurrogate(literal) {
		return "", badRequest(at, "has half of a surrogate pair, which is no character")
	}
	var s string
	err := json.Unmarshal(literal, &s)
	return s, err
}
