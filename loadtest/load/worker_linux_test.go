package load_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/internal/calibrate"
	"github.com/spatehub/spate/loadtest/load"
)

// A worker that dies while events are published makes the run invalid, by name; nothing hangs.
func TestDeadWorker(t *testing.T) {
	srv := httptest.NewServer(calibrate.New(calibrate.Faults{}))
	defer srv.Close()
	c := load.Default()
	c.URL, c.Streams, c.Procs, c.Settle, c.Interval = srv.URL, 4, 2, 0, 20*time.Millisecond
	c.Duration = 2 * time.Second
	var once sync.Once
	r, err := load.RunWatched(t.Context(), c, func(open, deliveries int64) {
		if deliveries > 0 {
			once.Do(func() { require.NoError(t, syscall.Kill(child(t), syscall.SIGKILL)) })
		}
	})
	require.NoError(t, err)
	require.Contains(t, fmt.Sprint(r.Verdict.Invalid), "is gone")
}

// child is the process ID of one of this process's children.
func child(t *testing.T) int {
	lists, err := filepath.Glob("/proc/self/task/*/children")
	require.NoError(t, err)
	for _, name := range lists {
		if b, err := os.ReadFile(name); err == nil && len(b) > 0 {
			pid, err := strconv.Atoi(strings.Fields(string(b))[0])
			require.NoError(t, err)
			return pid
		}
	}
	require.Fail(t, "no child")
	return 0
}
