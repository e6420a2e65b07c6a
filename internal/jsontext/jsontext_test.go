package jsontext_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/internal/jsontext"
)

// TestLoneSurrogate holds that what encoding/json would put U+FFFD in the place of is
// found, in a string and in any JSON around it, and nothing else is.
func TestLoneSurrogate(t *testing.T) {
	for literal, lone := range map[string]bool{
		`"\ud800"`:             true,
		`"\uDFFF"`:             true,
		`"\ud800\ud800"`:       true,
		`"\ud800x\udc00"`:      true,
		`"\ud83d\ude00\udc00"`: true,
		`"\ud83d\ude00"`:       false,
		`"\\ud800"`:            false,
		`"\\\ud800"`:           true,
		`"\ufffd"`:             false,
		`"plain"`:              false,
		`"\n\"\\"`:             false,
	} {
		require.Equal(t, lone, jsontext.HasLoneSurrogate([]byte(literal)), literal)
		require.Equal(t, lone, jsontext.HasLoneSurrogate([]byte(`{"a":["b",`+literal+`]}`)), literal)
		if lone {
			require.True(t, jsontext.MayHaveSurrogates([]byte(literal)), literal)
		}
	}
}

// FuzzLoneSurrogate compares with encoding/json: a string that has none of its own
// U+FFFD gets one exactly where half of a pair is.
func FuzzLoneSurrogate(f *testing.F) {
	f.Add(`"\ud83d\ude00\\ud800"`)
	f.Fuzz(func(t *testing.T, literal string) {
		if !utf8.ValidString(literal) || !json.Valid([]byte(literal)) {
			return
		}
		var s string
		if json.Unmarshal([]byte(literal), &s) != nil {
			return
		}
		replaced := 0
		for _, r := range s {
			if r == utf8.RuneError {
				replaced++
			}
		}
		if replaced == 0 {
			require.False(t, jsontext.HasLoneSurrogate([]byte(literal)), literal)
		}
		if jsontext.HasLoneSurrogate([]byte(literal)) {
			require.Positive(t, replaced, literal)
		}
	})
}
