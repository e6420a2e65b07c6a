package snippets_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// block is a fenced block of a document.
type block struct {
	where    string // file:line of the fence
	language string
	text     string
	comment  string // what an HTML comment on the line before says
}

// shown are the languages that are neither compiled, run nor parsed.
var shown = []string{"text", "http", "nginx", "haproxy", "caddyfile", "python", "js", "html", "ini"}

var comment = regexp.MustCompile(`^<!-- (.*) -->$`)

// blocks returns the blocks of all documents.
func blocks(t *testing.T) []block {
	t.Helper()
	var all []block
	for _, pattern := range []string{"../../*.md", "../../docs/*.md", "../../docs/*/*.md"} {
		paths, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, path := range paths {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			found, err := parse(strings.TrimPrefix(path, "../../"), string(text))
			require.NoError(t, err)
			all = append(all, found...)
		}
	}
	require.NotEmpty(t, all)
	return all
}

func parse(path, text string) (found []block, err error) {
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		indent, language, fence := strings.Cut(lines[i], "```")
		if !fence || strings.TrimSpace(indent) != "" {
			continue
		}
		b := block{where: fmt.Sprintf("%s:%d", path, i+1), language: language}
		if i > 0 {
			if m := comment.FindStringSubmatch(strings.TrimSpace(lines[i-1])); m != nil {
				b.comment = m[1]
			}
		}
		for i++; ; i++ {
			if i == len(lines) {
				return nil, fmt.Errorf("%s: the block has no end", b.where)
			}
			if strings.TrimSpace(lines[i]) == "```" {
				break
			}
			b.text += strings.TrimPrefix(lines[i], indent) + "\n"
		}
		found = append(found, b)
	}
	return found, nil
}

// TestBlocksNameTheirLanguage: so that none is left out of the tests by being unnamed; and what is left out says why.
func TestBlocksNameTheirLanguage(t *testing.T) {
	for _, b := range blocks(t) {
		kind, reason, _ := strings.Cut(b.comment, ": ")
		switch {
		case b.language == "json":
			var v any
			require.NoError(t, json.Unmarshal([]byte(b.text), &v), b.where)
		case b.language == "yaml":
			var v any
			require.NoError(t, yaml.Unmarshal([]byte(b.text), &v), b.where)
		case b.language == "go", b.language == "sh":
			if strings.HasPrefix(kind, "not ") {
				require.Greater(t, len(reason), 10, "%s: give the reason", b.where)
				require.Equal(t, map[string]string{"go": "not compiled", "sh": "not run"}[b.language], kind, b.where)
			}
		default:
			require.True(t, slices.Contains(shown, b.language), "%s: %q is no language that blocks may have", b.where, b.language)
		}
	}
}
