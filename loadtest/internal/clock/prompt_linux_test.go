package clock_test

import (
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spatehub/spate/loadtest/internal/clock"
)

// slice is the length of turn that a thread has, 0 for this one, in nanoseconds.
func slice(t *testing.T, thread int) uint64 {
	attr, err := unix.SchedGetAttr(thread, 0)
	if err == unix.ESRCH {
		return 0
	}
	require.NoError(t, err)
	return attr.Runtime
}

// While Prompt holds, every thread asks for short turns but the patient one; afterwards
// all have what they had.
func TestPromptThreads(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	usual := slice(t, 0)
	restore := clock.Prompt()
	short := slice(t, 0)
	if usual == 0 || short == usual {
		restore()
		t.Skip("this kernel has no turns of one's own")
	}
	clock.Patient()
	require.Equal(t, usual, slice(t, 0))
	patient := unix.Gettid()
	each := func(fn func(id int)) {
		tasks, err := os.ReadDir("/proc/self/task")
		require.NoError(t, err)
		for _, x := range tasks {
			id, err := strconv.Atoi(x.Name())
			require.NoError(t, err)
			fn(id)
		}
	}
	prompt := 0
	each(func(id int) {
		if id != patient {
			require.Contains(t, []uint64{short, 0}, slice(t, id))
			prompt++
		}
	})
	require.NotZero(t, prompt)
	restore()
	each(func(id int) { require.Contains(t, []uint64{usual, 0}, slice(t, id)) })
}
