package arch_test

import (
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rooms says what each folder may import of ours. A folder without an entry belongs to the one that it lies in. docs/architecture.md has the same table with the reasons; a new
// arrow is a change of design and is written down there first.
var rooms = map[string][]string{
	"wire":              {},
	"ringbuf":           {},
	"persist":           {"wire"},
	"persist/pebblelog": {"wire", "persist"},
	"engine":            {"wire", "ringbuf", "persist"},
	"serve":             {"engine", "wire", "ringbuf"},
	"client":            {"wire"},
	"loadtest":          {"wire"},
	"bench":             {"wire", "ringbuf", "persist", "persist/pebblelog", "engine", "serve", "client", "loadtest"},
	"cmd":               {"wire", "ringbuf", "persist", "persist/pebblelog", "engine", "serve", "client"},
	"examples":          {"wire", "ringbuf", "persist", "persist/pebblelog", "engine", "serve", "client"},
	"internal":          {},
}

// TestImportsFollowTheRooms: nothing imports upwards. Test files may import what they need: a test of engine may well
// start a server.
func TestImportsFollowTheRooms(t *testing.T) {
	for _, src := range sources(t) {
		require.NotEqual(t, ".", src.dir, "%s: the root has no Go file", src.path)
		allowed, known := rooms[src.room()]
		require.True(t, known, "%s: %q is no room of docs/architecture.md", src.path, src.room())
		if src.test {
			continue
		}
		for _, imp := range src.file.Imports {
			path, err := strconv.Unquote(imp.Path.Value)
			require.NoError(t, err)
			rest, ours := strings.CutPrefix(path, modulePath+"/")
			if !ours {
				continue
			}
			target := roomOf(rest)
			if target == src.room() {
				continue
			}
			require.True(t, slices.Contains(allowed, target), "%s: %s may not import %s", src.at(imp), src.room(), path)
		}
	}
}

// TestWhatLinksNoDatabase: a program that keeps its events elsewhere, or nowhere, does not carry Pebble with it.
func TestWhatLinksNoDatabase(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "../../persist", "../../engine", "../../serve").Output()
	require.NoError(t, err)
	for path := range strings.Lines(string(out)) {
		require.NotContains(t, path, "cockroachdb")
	}
}
