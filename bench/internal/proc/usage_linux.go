package proc

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Usage is what a process has used so far.
type Usage struct {
	CPU        int64  `json:"cpu_ns"`  // processor time, user and system, to the nanosecond
	User       int64  `json:"user_ns"` // of CPU, as the kernel's ticks divide it
	RSS        int64  `json:"rss"`     // resident bytes
	Goroutines int    `json:"goroutines"`
	HeapInUse  uint64 `json:"heap_in_use"` // bytes
	Allocs     uint64 `json:"allocs"`      // objects allocated since the start
	GCs        uint32 `json:"gcs"`
	FDs        int    `json:"fds"`
}

// Used returns the usage of this process. With settle, garbage is collected and given back to the system first, and the
// resident size is read once it has stopped falling.
func Used(settle bool) Usage {
	if settle {
		debug.FreeOSMemory()
		for last := int64(1) << 62; ; {
			rss := resident()
			if rss >= last-last/200 {
				break
			}
			last = rss
			time.Sleep(100 * time.Millisecond)
			debug.FreeOSMemory()
		}
	}
	var ru unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &ru)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fds, _ := os.ReadDir("/proc/self/fd")
	return Usage{
		CPU: CPU(), User: ru.Utime.Nano(), RSS: resident(), Goroutines: runtime.NumGoroutine(),
		HeapInUse: m.HeapInuse, Allocs: m.Mallocs, GCs: m.NumGC, FDs: len(fds),
	}
}

// CPU is the processor time, user and system, that this process has used, in nanoseconds.
func CPU() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts)
	return ts.Nano()
}

// resident is this process's resident size in bytes.
func resident() int64 {
	n, _ := residentOf("self")
	return n
}

// residentOf is the resident size of a process, in bytes.
func residentOf(pid string) (int64, error) {
	text, err := os.ReadFile("/proc/" + pid + "/statm")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, fmt.Errorf("statm of %s: %q", pid, text)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}
