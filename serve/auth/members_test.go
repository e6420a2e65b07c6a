package auth

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzMembers: an object is taken apart as encoding/json does it, but for names that are
// there twice, which are refused.
func FuzzMembers(f *testing.F) {
	for _, text := range []string{`{}`, ` { "a" : [1,{"b":"}\\""}] , "\u0061b":null,"c":-1.5e3}`, `{"a":1,"a":2}`, `[]`, `"x"`, `1`, `{"é":"\ud800"}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !json.Valid(text) {
			return
		}
		all, err := members("", text)
		d := json.NewDecoder(bytes.NewReader(text))
		if open, tokenErr := d.Token(); tokenErr != nil || open != json.Delim('{') {
			require.ErrorIs(t, err, errNoObject)
			return
		}
		want := map[string]json.RawMessage{}
		for d.More() {
			key, keyErr := d.Token()
			require.NoError(t, keyErr)
			var v json.RawMessage
			require.NoError(t, d.Decode(&v))
			if _, twice := want[key.(string)]; twice {
				require.ErrorContains(t, err, "twice")
				return
			}
			want[key.(string)] = v
		}
		require.NoError(t, err)
		require.Len(t, all, len(want))
		for name, v := range want {
			require.Equal(t, string(v), string(find(all, name)), "%q", name)
		}
	})
}
