package procs

import (
	"runtime"

	"github.com/spatehub/spate/loadtest/internal/config"
)

// Processors lets event loops, publisher and timers run beside each other however
// few processors there are. A loop locks its thread, and keeps the right to run Go
// code while it waits in the kernel, until the runtime's watchdog takes it away
// some milliseconds later: with GOMAXPROCS=1, as it is when a process is pinned to
// one processor, all else would be that late. With room for two more the kernel
// divides the processor, within microseconds. restore undoes it.
func Processors(c *config.Config) (restore func()) {
	want := c.Loops + 2
	had := runtime.GOMAXPROCS(0)
	if c.Mode != config.ModeRaw || had >= want {
		return func() {}
	}
	runtime.GOMAXPROCS(want)
	return func() { runtime.GOMAXPROCS(had) }
}
