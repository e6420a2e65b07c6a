package procs

import (
	"runtime"

	"github.com/spatehub/spate/loadtest/internal/clock"
	"github.com/spatehub/spate/loadtest/internal/config"
)

// Processors lets event loops, publisher and timers run beside each other however
// few processors there are. A loop locks its thread, and keeps the right to run Go
// code while it waits in the kernel, until the runtime's watchdog takes it away
// some milliseconds later: with GOMAXPROCS=1, as it is when a process is pinned to
// one processor, all else would be that late. With room for two more the kernel
// divides the processor, and [clock.Prompt] has it do so at once. restore undoes it.
func Processors(c *config.Config) (restore func()) {
	if c.Mode != config.ModeRaw {
		return func() {}
	}
	patient := clock.Prompt()
	want := c.Loops + 2
	had := runtime.GOMAXPROCS(0)
	if had >= want {
		return patient
	}
	runtime.GOMAXPROCS(want)
	return func() {
		runtime.GOMAXPROCS(had)
		patient()
	}
}
