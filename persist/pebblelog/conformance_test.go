package pebblelog_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/pebblelog"
	"github.com/spatehub/spate/persist/persisttest"
)

func openPebble(t testing.TB, dir string, opts ...pebblelog.Option) *pebblelog.Log {
	t.Helper()
	l, err := pebblelog.Open(dir, opts...)
	require.NoError(t, err)
	return l
}

func TestConformance(t *testing.T) {
	t.Run("sync", func(t *testing.T) {
		persisttest.TestLog(t, func(t *testing.T) persist.Log { return openPebble(t, t.TempDir()) })
	})
	t.Run("nosync", func(t *testing.T) {
		persisttest.TestLog(t, func(t *testing.T) persist.Log {
			return openPebble(t, t.TempDir(), pebblelog.WithSync(false))
		})
	})
	t.Run("memfs", func(t *testing.T) {
		persisttest.TestLog(t, func(t *testing.T) persist.Log {
			return openPebble(t, "log", pebblelog.WithFS(vfs.NewMem()))
		})
	})
}

func TestStoreConformance(t *testing.T) {
	persisttest.TestStore(t, func(t *testing.T) persist.Store {
		l := openPebble(t, t.TempDir(), pebblelog.WithSync(false))
		t.Cleanup(func() { require.NoError(t, l.Close()) })
		return l
	})
}
