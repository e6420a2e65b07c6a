package pebblelog_test

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/internal/testrace"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/logtest"
	"github.com/spatehub/spate/persist/pebblelog"
)

// damages are what may become of a folder, each done to one with tables and several
// write-ahead logs.
var damages = map[string]func(t *testing.T, dir string){
	"manifest damaged": func(t *testing.T, dir string) { flip(t, one(t, dir, "MANIFEST-*")) },
	"manifest missing": func(t *testing.T, dir string) { require.NoError(t, os.Remove(one(t, dir, "MANIFEST-*"))) },
	"marker missing": func(t *testing.T, dir string) {
		require.NoError(t, os.Remove(one(t, dir, "marker.manifest.*")))
	},
	"format marker missing": func(t *testing.T, dir string) {
		require.NoError(t, os.Remove(one(t, dir, "marker.format-version.*")))
	},
	"options damaged": func(t *testing.T, dir string) {
		require.NoError(t, os.WriteFile(one(t, dir, "OPTIONS-*"), []byte("xx"), 0o600))
	},
	"table missing":   func(t *testing.T, dir string) { require.NoError(t, os.Remove(one(t, dir, "*.sst"))) },
	"table cut short": func(t *testing.T, dir string) { require.NoError(t, os.Truncate(one(t, dir, "*.sst"), 1000)) },
}

// one returns the largest of the files that match, or the newest manifest.
func one(t *testing.T, dir, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	require.NoError(t, err)
	largest, size := "", int64(-1)
	for _, name := range names {
		info, err := os.Stat(name)
		require.NoError(t, err)
		if info.Size() > size || strings.HasPrefix(pattern, "MANIFEST") { // of several, the newest is in use
			largest, size = name, info.Size()
		}
	}
	require.NotEmpty(t, largest, pattern)
	return largest
}

// flip damages eight bytes in the middle of a file.
func flip(t *testing.T, name string) {
	t.Helper()
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	for i := range 8 {
		data[len(data)/2+i] ^= 0xff
	}
	require.NoError(t, os.WriteFile(name, data, 0o600))
}

// built keeps a folder of inTables for others that want the same.
var built = struct {
	sync.Mutex
	files map[uint64]map[string]string
}{files: make(map[uint64]map[string]string)}

// inTables returns a folder with a log of n records of 16 KiB in many tables.
func inTables(t *testing.T, n uint64) string {
	t.Helper()
	dir := t.TempDir()
	built.Lock()
	defer built.Unlock()
	if files, ok := built.files[n]; ok {
		for name, data := range files {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600))
		}
		return dir
	}
	l := openPebble(t, dir, pebblelog.WithMemTable(1<<20), pebblelog.WithSync(false))
	require.NoError(t, l.BeginRun(1))
	for id := uint64(1); id <= n; id++ {
		topic := []string{"", "t", "u"}[id%3]
		require.NoError(t, l.Append(ctx, []persist.Record{{ID: id, Topic: topic, Time: int64(id), Frame: randomFrame(id, 16<<10)}}))
	}
	require.NoError(t, l.Close())
	built.files[n] = contentsOf(t, dir)
	return dir
}

// contentsOf returns the names and contents of the files of a folder.
func contentsOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	require.NoError(t, fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		files[path] = string(data)
		return err
	}))
	delete(files, "LOCK")
	return files
}

// internals are words that tell users nothing.
var internals = regexp.MustCompile(`(?i)pebble:|cockroach|goroutine|stack|objstorage|crc32|backing|pristine|corruption detail|\n`)

// TestDamageIsTold holds that a damaged folder is refused in one line that names the
// file, and is left as it was: what can be salvaged still can.
func TestDamageIsTold(t *testing.T) {
	testrace.Pointless(t)
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			dir := inTables(t, 300)
			damage(t, dir)
			before := contentsOf(t, dir)
			err := requireOpenFails(t, dir)
			require.ErrorIs(t, err, pebblelog.ErrDamaged)
			require.Regexp(t, `MANIFEST-|marker\.|OPTIONS-|\d{6}\.(sst|log)`, err.Error())
			require.NotRegexp(t, internals, err.Error())
			require.Less(t, len(err.Error()), 300)
			require.Equal(t, before, contentsOf(t, dir))
		})
	}
}

// TestDamagedTableIsTold is the same for a table whose middle is damaged, which only a
// reader meets: the error says which, and so does the log, once and in a line.
func TestDamagedTableIsTold(t *testing.T) {
	dir := inTables(t, 300)
	flip(t, one(t, dir, "*.sst"))
	var said bytes.Buffer
	l := openPebble(t, dir, pebblelog.WithLogger(slog.New(slog.NewTextHandler(&said, nil))))
	_, err := l.Read(ctx, 0, persist.Limit{Records: 1000, Bytes: 1 << 30})
	require.ErrorIs(t, err, pebblelog.ErrDamaged)
	require.Regexp(t, `\d{6}\.sst is damaged`, err.Error())
	require.NotRegexp(t, internals, err.Error())
	require.NoError(t, l.Close())
	require.Equal(t, 1, strings.Count(said.String(), "\n"), said.String())
	require.NotRegexp(t, internals, strings.TrimSpace(said.String()))
	require.Contains(t, said.String(), "spate log check")
}

// TestDamagedSmallTableIsTold is the same for the tables of a small log, most of which are
// read when it is opened.
func TestDamagedSmallTableIsTold(t *testing.T) {
	dir := t.TempDir()
	for id := uint64(1); id <= 4; id++ {
		l := openPebble(t, dir)
		require.NoError(t, l.Append(ctx, logtest.Records(id)))
		require.NoError(t, l.Close())
	}
	files := contentsOf(t, dir)
	refused := 0
	for name := range files {
		if filepath.Ext(name) != ".sst" {
			continue
		}
		damaged := t.TempDir()
		for name, data := range files {
			require.NoError(t, os.WriteFile(filepath.Join(damaged, name), []byte(data), 0o600))
		}
		flip(t, filepath.Join(damaged, name))
		l, err := pebblelog.Open(damaged)
		if err == nil {
			require.NoError(t, l.Close())
			continue
		}
		refused++
		require.ErrorIs(t, err, pebblelog.ErrDamaged)
		require.ErrorContains(t, err, name+" is damaged")
		require.NotRegexp(t, internals, err.Error())
	}
	require.Positive(t, refused)
}

// TestDamagedWriteAheadLogIsTold holds that what a damaged write-ahead log costs is
// known, however the log takes it.
func TestDamagedWriteAheadLogIsTold(t *testing.T) {
	dir := t.TempDir()
	first := openPebble(t, dir)
	for id := uint64(1); id <= 300; id++ {
		require.NoError(t, first.Append(ctx, logtest.Records(id)))
	}
	require.NoError(t, first.Close())
	names, err := filepath.Glob(filepath.Join(dir, "*.log"))
	require.NoError(t, err)
	hit := 0
	for _, name := range names {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		if at := bytes.Index(data, []byte("id: 295\n")); at >= 0 {
			data[at] ^= 0xff
			require.NoError(t, os.WriteFile(name, data, 0o600))
			hit++
		}
	}
	require.Positive(t, hit)
	l, err := pebblelog.Open(dir)
	if err != nil {
		require.ErrorIs(t, err, pebblelog.ErrDamaged)
		return
	}
	require.Less(t, l.Last(), uint64(300))
	require.Equal(t, persist.LostTail{From: l.Last() + 1, To: 300, Records: int64(300 - l.Last())}, l.LogStats().LostTail)
	require.NoError(t, l.Close())
}

// TestForeignFolder holds that a folder with other things in it is not taken, and not
// touched; and that what file systems and people leave in an empty one is no matter.
func TestForeignFolder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.txt", "a.txt", "c", "d"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600))
	}
	err := requireOpenFails(t, dir)
	require.ErrorIs(t, err, pebblelog.ErrForeign)
	require.Contains(t, err.Error(), "a.txt, b.txt, c and 1 more")
	names, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, names, 4)

	dir = t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "lost+found"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".gitkeep"), nil, 0o600))
	l := openPebble(t, dir)
	require.NoError(t, l.Close())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "README"), nil, 0o600))
	l = openPebble(t, dir)
	require.NoError(t, l.Close())
}
