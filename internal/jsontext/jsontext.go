// Package jsontext keeps text as it was sent. encoding/json replaces half of a surrogate
// pair by U+FFFD, so that two users who were never the same would be one.
package jsontext

import (
	"bytes"
	"strconv"
)

// MayHaveSurrogates reports whether the JSON has an escape that could be one half
// of a pair. Most texts have none, and need not be looked at more closely.
func MayHaveSurrogates(json []byte) bool {
	return bytes.Contains(json, []byte(`\ud`)) || bytes.Contains(json, []byte(`\uD`))
}

// HasLoneSurrogate reports whether a string in the JSON, which is valid, has one half
// of a pair without the other.
func HasLoneSurrogate(json []byte) bool {
	for i := 0; i < len(json); i++ {
		if json[i] != '\\' {
			continue
		}
		i++ // what is escaped
		switch half := surrogate(json[i:]); {
		case half == 0:
		case half >= 0xdc00:
			return true
		default:
			i += len("uXXXX")
			if i >= len(json) || json[i] != '\\' || surrogate(json[i+1:]) < 0xdc00 {
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
