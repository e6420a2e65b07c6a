package arch_test

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// inner says what each folder within a room, below an internal, may import of ours. What is outside of it in the same
// room may import it. docs/architecture.md has the reason for each.
var inner = map[string][]string{
	"bench/internal/plan":   {"loadtest/stamp"},
	"bench/internal/proc":   {},
	"bench/internal/reader": {"bench/internal/plan", "bench/internal/proc", "loadtest/http1", "loadtest/stamp"},
	"bench/internal/rig":    {"bench/internal/proc", "bench/internal/reader", "bench/internal/server", "loadtest/stamp"},
	"bench/internal/server": {"bench/internal/plan", "bench/internal/proc", "compress", "engine", "loadtest/stamp", "persist/pebblelog", "serve",
		"serve/stream", "wire", "serve/auth", "serve/limit"},

	"client/internal/message":  {},
	"client/internal/mimetype": {},

	"cmd/spate/internal/dashboard": {"serve/stream"},
	"cmd/spate/internal/demo":      {"cmd/spate/internal/procfs", "engine", "wire"},
	"cmd/spate/internal/openapi":   {},
	"cmd/spate/internal/overview":  {"engine", "persist", "serve/stream"},
	"cmd/spate/internal/procfs":    {},

	"engine/internal/names":  {},
	"engine/internal/topics": {"wire", "engine/internal/names"},

	"loadtest/internal/adapter":   {"loadtest/internal/config", "loadtest/stamp"},
	"loadtest/internal/calibrate": {"loadtest/stamp"},
	"loadtest/internal/check":     {"loadtest/stamp"},
	"loadtest/internal/cli": {"loadtest/internal/adapter", "loadtest/internal/config", "loadtest/internal/hist", "loadtest/internal/pacer",
		"loadtest/internal/procs", "loadtest/internal/report", "loadtest/internal/run", "loadtest/internal/session"},
	"loadtest/internal/clock":  {},
	"loadtest/internal/config": {"loadtest/internal/check", "loadtest/internal/pacer"},
	"loadtest/internal/fleet": {"loadtest/http1", "loadtest/internal/adapter", "loadtest/internal/check", "loadtest/internal/clock",
		"loadtest/internal/config", "loadtest/internal/hist", "loadtest/internal/pacer", "loadtest/internal/session"},
	"loadtest/internal/hist":  {},
	"loadtest/internal/pacer": {},
	"loadtest/internal/plot":  {},
	"loadtest/internal/portable": {"client", "loadtest/internal/adapter", "loadtest/internal/config", "loadtest/internal/fleet",
		"loadtest/internal/session", "wire"},
	"loadtest/internal/probe": {},
	"loadtest/internal/procs": {"loadtest/internal/check", "loadtest/internal/clock", "loadtest/internal/config", "loadtest/internal/fleet",
		"loadtest/internal/portable", "loadtest/internal/probe", "loadtest/internal/rawreader", "loadtest/internal/session"},
	"loadtest/internal/publish": {"loadtest/http1", "loadtest/internal/adapter", "loadtest/internal/check", "loadtest/internal/clock",
		"loadtest/internal/config", "loadtest/internal/hist", "loadtest/internal/pacer", "loadtest/internal/portable", "loadtest/stamp"},
	"loadtest/internal/rawreader": {"loadtest/http1", "loadtest/internal/adapter", "loadtest/internal/clock", "loadtest/internal/fleet", "loadtest/internal/session"},
	"loadtest/internal/report":    {"loadtest/internal/config", "loadtest/internal/hist", "loadtest/internal/plot", "loadtest/internal/probe"},
	"loadtest/internal/run": {"loadtest/http1", "loadtest/internal/adapter", "loadtest/internal/check", "loadtest/internal/clock",
		"loadtest/internal/config", "loadtest/internal/fleet", "loadtest/internal/hist", "loadtest/internal/pacer", "loadtest/internal/portable",
		"loadtest/internal/probe", "loadtest/internal/procs", "loadtest/internal/publish", "loadtest/internal/report", "loadtest/internal/session"},
	"loadtest/internal/session": {"loadtest/internal/check", "loadtest/internal/clock", "loadtest/internal/config", "loadtest/internal/hist",
		"loadtest/stamp", "wire"},

	"persist/internal/bytime":    {},
	"persist/internal/clock":     {},
	"persist/internal/deadlines": {},
	"persist/internal/floors":    {"persist/internal/shrink"},
	"persist/internal/logtest":   {"persist"},
	"persist/internal/merge":     {},
	"persist/internal/runs":      {},
	"persist/internal/shrink":    {},
	"persist/internal/streams":   {},

	"serve/internal/fresh":          {},
	"serve/stream/internal/rawsock": {"serve/stream/internal/uring"},
	"serve/stream/internal/rawtls":  {"serve/stream/internal/rawsock"},
	"serve/stream/internal/uring":   {},
}

// TestInnerRooms: each folder within a room is in the table above and in docs/architecture.md, and imports what the table
// says and nothing else: an arrow that nobody needs any more is struck out. Test files may import what they need.
func TestInnerRooms(t *testing.T) {
	text, err := os.ReadFile("../../docs/architecture.md")
	require.NoError(t, err)
	arrows := map[string]map[string]bool{}
	for _, src := range sources(t) {
		if !strings.Contains(src.dir, "/internal/") {
			continue
		}
		allowed, known := inner[src.dir]
		require.True(t, known, "%s: %s is no inner room of internal/arch and docs/architecture.md", src.path, src.dir)
		if arrows[src.dir] == nil {
			arrows[src.dir] = map[string]bool{}
		}
		if src.test {
			continue
		}
		for _, imp := range src.file.Imports {
			path, err := strconv.Unquote(imp.Path.Value)
			require.NoError(t, err)
			if target, ours := strings.CutPrefix(path, modulePath+"/"); ours {
				assert.True(t, slices.Contains(allowed, target), "%s: %s may not import %s", src.at(imp), src.dir, target)
				arrows[src.dir][target] = true
			}
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(inner)) {
		assert.Contains(t, string(text), "| `"+dir+"` |", "docs/architecture.md gives no reason for it")
		require.NotNil(t, arrows[dir], "there is no %s", dir)
		for _, target := range inner[dir] {
			assert.True(t, arrows[dir][target], "%s does not import %s any more", dir, target)
		}
	}
}
