package proc

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Bind binds all threads of this process to one processor, and those that they start from then on, processes included.
// restore lets them run where the first one could before.
func Bind(cpu int) (restore func(), err error) {
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, err
	}
	one.Set(cpu)
	if err := bindThreads(&one); err != nil {
		return nil, err
	}
	return func() { _ = bindThreads(&before) }, nil
}

// bindThreads goes over the threads until it finds no new one: a thread that was started meanwhile may have inherited
// the former set.
func bindThreads(set *unix.CPUSet) error {
	done := map[int]bool{}
	for found := true; found; {
		found = false
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, t := range tasks {
			id, err := strconv.Atoi(t.Name())
			if err != nil || done[id] {
				continue
			}
			done[id], found = true, true
			if err := unix.SchedSetaffinity(id, set); err != nil && err != unix.ESRCH {
				return fmt.Errorf("bind thread %d: %w", id, err)
			}
		}
	}
	return nil
}
