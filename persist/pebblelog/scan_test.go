package pebblelog_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/internal/testrace"
	"github.com/spatehub/spate/persist/internal/logtest"
	"github.com/spatehub/spate/persist/pebblelog"
)

func TestPatternPages(t *testing.T) {
	l := openPebble(t, "log", pebblelog.WithFS(vfs.NewMem()), pebblelog.WithSync(false))
	logtest.CheckPatternPages(t, l)
	require.NoError(t, l.Close())
}

func TestPatternLooks(t *testing.T) {
	if testrace.On {
		t.Skip("takes long, and nothing in it is concurrent")
	}
	l := openPebble(t, "log", pebblelog.WithFS(vfs.NewMem()), pebblelog.WithSync(false))
	logtest.CheckPatternLooks(t, l)
	require.NoError(t, l.Close())
}

// (Invariant 3.)
func TestPatternFloor(t *testing.T) {
	clock := logtest.NewClock()
	l := openPebble(t, "log", pebblelog.WithFS(vfs.NewMem()), pebblelog.WithClock(clock), pebblelog.WithRetention(logtest.OldTopics()))
	logtest.CheckPatternFloor(t, l, clock, func() { settle(l) })
	require.NoError(t, l.Close())
}
