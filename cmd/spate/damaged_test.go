package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDamagedTablesAreExplained: whichever table of a small log is damaged, a hub that does not start over it says in
// one line what can be done, and nothing of the database's inside.
func TestDamagedTablesAreExplained(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	serveOnce := func(dir string) result {
		ends := make(chan os.Signal, 1)
		ends <- syscall.SIGTERM
		var out, errs safeBuffer
		code := run([]string{"serve", "--data", dir, "--listen", "127.0.0.1:0"},
			streams{in: strings.NewReader(""), out: &out, err: &errs, env: environment(), signals: ends})
		return result{code, out.String(), errs.String()}
	}
	for range 3 {
		s := startServe(t, "--data", dir)
		pushN(t, s.base, 2)
		require.Equal(t, exitOK, s.stop())
	}
	require.Equal(t, exitOK, serveOnce(dir).code)
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	require.NoError(t, err)
	refused := 0
	for _, table := range tables {
		copied := filepath.Join(t.TempDir(), "data")
		require.NoError(t, os.CopyFS(copied, os.DirFS(dir)))
		flipMiddle(t, filepath.Join(copied, filepath.Base(table)))
		res := serveOnce(copied)
		if res.code == exitOK {
			continue
		}
		refused++
		lines := strings.Split(strings.TrimSpace(res.err), "\n")
		last := lines[len(lines)-1]
		require.Contains(t, last, "spate log repair "+copied)
		require.Contains(t, last, filepath.Base(table)+" is damaged")
		require.NotRegexp(t, `pebble|corruption|backing|magic`, last)
	}
	require.Greater(t, refused, 1)
}
