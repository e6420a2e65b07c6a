//go:build unix

package probe

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// OwnCPU is the processor time that this process has used.
func OwnCPU() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// NeedFiles raises this process's limit of open files as far as it may, and
// fails if it stays below n.
func NeedFiles(n int, advice string) error {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	if lim.Cur < lim.Max {
		raised := unix.Rlimit{Cur: lim.Max, Max: lim.Max}
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil {
			lim = raised
		}
	}
	if uint64(n) > uint64(lim.Cur) {
		return fmt.Errorf("a process would need %d open files, its limit is %d: %s", n, lim.Cur, advice)
	}
	return nil
}

// FileLimit is the number of files that a process may have open at most.
func FileLimit() int {
	var lim unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &lim) != nil {
		return 1024
	}
	return int(min(uint64(lim.Max), 1<<30))
}
