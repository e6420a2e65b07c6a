package stream

import (
	"encoding/json"

	"github.com/spatehub/spate/internal/jsontext"
)

// unquote returns the string that a literal stands for.
func unquote(at string, literal []byte) (string, error) {
	if jsontext.HasLoneSurrogate(literal) {
		return "", badRequest(at, "has half of a surrogate pair, which is no character")
	}
	var s string
	err := json.Unmarshal(literal, &s)
	return s, err
}
