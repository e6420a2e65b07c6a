package arch_test

import (
	"os"
	"os/exec"
	"path/filepath"
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
	"compress":          {},
	"ringbuf":           {},
	"persist":           {"wire", "internal/audience"},
	"persist/pebblelog": {"wire", "persist", "internal/jsontext"},
	"engine":            {"wire", "ringbuf", "persist", "internal/audience"},
	"serve":             {"engine", "wire", "serve/stream", "serve/metrics"},
	"serve/metrics":     {"engine", "serve/stream"},
	"serve/stream":      {"engine", "wire", "ringbuf", "internal/jsontext"},
	"serve/api":         {"engine", "wire", "serve/stream"},
	"serve/auth":        {"wire", "serve/stream", "serve/cors", "serve/internal/fresh"},
	"serve/limit":       {"serve/stream"},
	"serve/cors":        {"serve/stream"},
	"serve/tlsfile":     {"serve/internal/fresh"},
	"client":            {"wire"},
	"cluster":           {"wire", "engine", "persist"},
	"cluster/jetstream": {"wire", "engine", "cluster"},
	"sse":               {"wire", "persist", "engine", "serve", "serve/stream", "client"},
	"loadtest":          {"wire", "client"},
	"bench":             {"wire", "compress", "ringbuf", "persist", "persist/pebblelog", "engine", "serve", "serve/stream", "client", "loadtest", "serve/auth", "serve/limit"},
	"cmd": {"wire", "ringbuf", "persist", "persist/pebblelog", "engine", "serve/metrics", "serve/stream", "client",
		"cluster", "cluster/jetstream",
		"serve/api", "serve/auth", "serve/limit", "serve/cors", "serve/tlsfile", "compress"},
	"examples": {"wire", "ringbuf", "persist", "persist/pebblelog", "engine", "serve", "serve/stream", "client",
		"serve/auth", "serve/limit", "serve/cors", "serve/tlsfile", "compress"},
	"internal":          {},
	"internal/audience": {},
	"internal/jsontext": {},

	"serve/internal/fresh": {},
	"internal/others":      {},
	"internal/testcert":    {},
	"internal/testrace":    {},
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

// TestLightEmbedding: who embeds engine and serves it with net/http links neither database nor web framework nor
// metrics, few modules beside the standard library's, and a small program.
func TestLightEmbedding(t *testing.T) {
	const maxModules, maxBytes = 6, 11 << 20
	dir := t.TempDir()
	main := filepath.Join(dir, "main.go")
	require.NoError(t, os.WriteFile(main, []byte(lightProgram), 0o600))

	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", main).Output()
	require.NoError(t, err)
	modules := slices.Compact(slices.Sorted(strings.Lines(string(out))))
	modules = slices.DeleteFunc(modules, func(m string) bool { return strings.TrimSpace(m) == "" || m == modulePath+"\n" })
	require.LessOrEqual(t, len(modules), maxModules, "links %q", modules)
	for _, m := range modules {
		for _, heavy := range []string{"cockroachdb", "gin-gonic", "prometheus", "quic-go", "mongodb", "nats-io", "klauspost"} {
			require.NotContains(t, m, heavy)
		}
	}

	binary := filepath.Join(dir, "light")
	built, err := exec.Command("go", "build", "-o", binary, main).CombinedOutput()
	require.NoError(t, err, "%s", built)
	info, err := os.Stat(binary)
	require.NoError(t, err)
	require.LessOrEqual(t, info.Size(), int64(maxBytes))
	t.Logf("%d modules, %.1f MB", len(modules), float64(info.Size())/1e6)
}

// TestTheHubLinksNoFramework: whoever builds it waits for all that it links. serve alone knows Gin.
func TestTheHubLinksNoFramework(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", modulePath+"/cmd/spate").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "cockroachdb/pebble", "the test sees what is linked")
	for _, heavy := range []string{"gin-gonic", "quic-go", "ugorji", "mongodb"} {
		require.NotContains(t, string(out), heavy)
	}
}

const lightProgram = `package main

import (
	"net/http"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
)

func main() {
	hub := engine.NewHub(engine.WithEnableResendEvents())
	defer hub.Close()
	http.Handle("GET /events", stream.Handler(hub, nil))
	http.Handle("POST /push", stream.PushHandler(hub))
	_ = http.ListenAndServe("127.0.0.1:8080", nil)
}
`

// TestWhatLinksNoDatabase: nor do the memory log, the adapter for plain stores, and the adapters for Gin.
func TestWhatLinksNoDatabase(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "../../persist", "../../engine", "../../serve").Output()
	require.NoError(t, err)
	require.NotContains(t, string(out), "cockroachdb")
}
