package persist_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/persisttest"
)

func openPebble(t testing.TB, dir string, opts ...persist.Option) *persist.Pebble {
	t.Helper()
	l, err := persist.Open(dir, opts...)
	require.NoError(t, err)
	return l
}

func TestConformance(t *testing.T) {
	t.Run("Memory", func(t *testing.T) {
		persisttest.TestLog(t, func(*testing.T) persist.Log { return persist.NewMemory() })
	})
	t.Run("Pebble/sync", func(t *testing.T) {
		persisttest.TestLog(t, func(t *testing.T) persist.Log { return openPebble(t, t.TempDir()) })
	})
	t.Run("Pebble/nosync", func(t *testing.T) {
		persisttest.TestLog(t, func(t *testing.T) persist.Log {
			return openPebble(t, t.TempDir(), persist.WithSync(false))
		})
	})
	t.Run("Pebble/memfs", func(t *testing.T) {
		persisttest.TestLog(t, func(t *testing.T) persist.Log {
			return openPebble(t, "log", persist.WithFS(vfs.NewMem()))
		})
	})
}

// TestStoreConformance holds that plain Stores work, whatever their quirks.
func TestStoreConformance(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) persist.Store{
		"map":             func(*testing.T) persist.Store { return new(mapStore) },
		"shuffled":        func(*testing.T) persist.Store { return new(shuffled) },
		"seed":            func(*testing.T) persist.Store { return new(seedStore) },
		"seed/inclusive":  func(*testing.T) persist.Store { return &seedStore{inclusive: true} },
		"seed/capped":     func(*testing.T) persist.Store { return &seedStore{capped: 3, noNext: true} },
		"seed/everything": func(*testing.T) persist.Store { return &seedStore{capped: 3, inclusive: true} },
		"Memory":          func(*testing.T) persist.Store { return persist.NewMemory() },
	} {
		t.Run(name, func(t *testing.T) { persisttest.TestStore(t, open) })
	}
	t.Run("Pebble", func(t *testing.T) {
		persisttest.TestStore(t, func(t *testing.T) persist.Store {
			l := openPebble(t, t.TempDir(), persist.WithSync(false))
			t.Cleanup(func() { require.NoError(t, l.Close()) })
			return l
		})
	})
}
