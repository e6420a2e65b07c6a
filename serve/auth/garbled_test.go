package auth_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/serve/auth"
)

// What is no JSON is said to be empty, or where it breaks off: half of a file of
// tokens is met while somebody writes it.
func TestTokenFileThatIsNoJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.json")
	for text, said := range map[string]string{
		"":                     "must be an object, and is empty",
		" \n":                  "must be an object, and is empty",
		`{"tokens": [{"hash"`:  "must be an object, and is no JSON: see byte 19 of 19",
		"\xef\xbb\xbf{}":       "must be an object, and is no JSON: see byte 1 of 5",
		`{"tokens": []} again`: "must be an object, and is no JSON: see byte 16 of 20",
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := auth.StaticTokens(path, auth.Source{}, nil)
		require.ErrorContains(t, err, said)
		require.ErrorContains(t, err, path)
	}
}
