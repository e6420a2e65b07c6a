package procs_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/procs"
)

// Beside event loops, and nothing else, there is room for two more threads of Go code,
// and threads ask for short turns; restore undoes both.
func TestProcessors(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	slice := func() uint64 {
		attr, err := unix.SchedGetAttr(0, 0)
		require.NoError(t, err)
		return attr.Runtime
	}
	had := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(had)
	for _, x := range []struct {
		mode       string
		now, after int
	}{{config.ModeRaw, 1, 5}, {config.ModeRaw, 8, 8}, {config.ModePortable, 1, 1}} {
		runtime.GOMAXPROCS(x.now)
		usual := slice()
		restore := procs.Processors(&config.Config{Mode: x.mode, Loops: 3})
		require.Equal(t, x.after, runtime.GOMAXPROCS(0))
		if usual > 0 {
			require.Equal(t, x.mode == config.ModeRaw, slice() < usual, "turns")
		}
		restore()
		require.Equal(t, x.now, runtime.GOMAXPROCS(0))
		require.Equal(t, usual, slice())
	}
}
