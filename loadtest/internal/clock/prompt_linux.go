package clock

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// promptSlice is the turn asked for on threads that have to be prompt: the shortest
// that Linux gives, in nanoseconds.
const promptSlice = 100_000

// Prompt has the kernel let all threads of this process run as soon as they want to,
// also where a [Patient] one is running on the same processor, and those that they
// start; in return their turns are short. Their share of the processor stays what it
// was. restore undoes it. Kernels before 6.12 take no notice, and threads with a
// policy of their own are left alone.
//
// Without it a timer that is due while a loop reads waits until the loop's turn is
// over, which is milliseconds on a processor that they share.
func Prompt() (restore func()) {
	eachThread(promptSlice)
	return func() { eachThread(0) }
}

// Patient gives the calling thread, which must be locked, turns of the usual length.
func Patient() { setSlice(0, 0) }

// eachThread goes over the threads until it finds no new one: one that was started
// meanwhile may have inherited what was.
func eachThread(slice uint64) {
	done := map[int]bool{}
	for found := true; found; {
		found = false
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return
		}
		for _, t := range tasks {
			if id, err := strconv.Atoi(t.Name()); err == nil && !done[id] {
				done[id], found = true, true
				setSlice(id, slice)
			}
		}
	}
}

// setSlice asks for a thread's turn to be that long, in nanoseconds; 0 is the
// kernel's own length. It is a hint, so that a refusal does not matter.
func setSlice(thread int, slice uint64) {
	attr, err := unix.SchedGetAttr(thread, 0)
	if err != nil || attr.Policy != unix.SCHED_NORMAL {
		return
	}
	attr.Runtime = slice
	_ = unix.SchedSetAttr(thread, attr, 0)
}
