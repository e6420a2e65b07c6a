//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// figures are what one process with one client has measured.
type figures struct {
	Events     int64         // counted
	Wall       time.Duration // for them
	CPU        time.Duration // user and system, for them
	Allocs     float64       // for one
	Bytes      float64       // allocated, for one
	Resident   float64       // bytes a stream
	Goroutines float64       // a stream
}

// patience bounds every wait of a measurement.
const patience = 2 * time.Minute

// child runs one measurement in this process and prints it.
func child(work, name, url string, n int) error {
	lib, err := find(name)
	if err != nil {
		return err
	}
	var f figures
	switch work {
	case "flood":
		f, err = flood(lib, url+"/flood", int64(n))
	case "idle":
		f, err = idle(lib, url+"/idle", n)
	case "try":
		return json.NewEncoder(os.Stdout).Encode(tryOne(lib, behaviours[n]))
	default:
		err = fmt.Errorf("no work %q", work)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(f)
}

// flood counts n events after the first tenth of as many.
func flood(lib library, url string, n int64) (f figures, err error) {
	var seen int64 // the client's goroutine alone counts
	var begin, end snapshot
	warm, all := make(chan struct{}), make(chan struct{})
	r, err := lib.Open(request{URL: url, Interval: time.Second, Count: func() {
		switch seen++; seen {
		case n / 10:
			begin = take()
			close(warm)
		case n/10 + n:
			end = take()
			close(all)
		}
	}})
	if err != nil {
		return f, err
	}
	select {
	case <-all:
	case <-time.After(patience):
		return f, errors.New("the events do not come")
	}
	<-warm
	r.Stop()
	return figures{
		Events: n, Wall: end.at.Sub(begin.at), CPU: end.cpu - begin.cpu,
		Allocs: float64(end.allocs-begin.allocs) / float64(n), Bytes: float64(end.bytes-begin.bytes) / float64(n),
	}, nil
}

// snapshot is what has been used up to a moment.
type snapshot struct {
	at            time.Time
	cpu           time.Duration
	allocs, bytes uint64
}

func take() snapshot {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err) // a fixed call of the kernel's
	}
	return snapshot{time.Now(), time.Duration(u.Utime.Nano() + u.Stime.Nano()), m.Mallocs, m.TotalAlloc}
}

// idle opens n streams and weighs them when each has brought its one event.
func idle(lib library, url string, n int) (f figures, err error) {
	rss, goroutines := resident(), runtime.NumGoroutine()
	var seen atomic.Int64 // events of all streams, from their goroutines
	all := make(chan struct{})
	streams := make([]running, 0, n)
	for range n {
		r, err := lib.Open(request{URL: url, Interval: time.Second, Count: func() {
			if seen.Add(1) == int64(n) {
				close(all)
			}
		}})
		if err != nil {
			return f, err
		}
		streams = append(streams, r)
	}
	select {
	case <-all:
	case <-time.After(patience):
		return f, fmt.Errorf("%d of %d streams have brought their event", seen.Load(), n)
	}
	runtime.GC()
	runtime.GC()
	f.Resident = float64(resident()-rss) / float64(n)
	f.Goroutines = float64(runtime.NumGoroutine()-goroutines) / float64(n)
	runtime.KeepAlive(streams)
	return f, nil
}

// resident is this process's resident memory in bytes.
func resident() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err) // this program is for Linux
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		panic(err)
	}
	return pages * int64(os.Getpagesize())
}

// spawn runs a measurement in a process of its own, on one processor.
func spawn(into any, args ...string) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		first, _, _ := strings.Cut(string(exit.Stderr), "\n")
		return fmt.Errorf("%v: %w: %s", args, err, first)
	}
	if err != nil {
		return fmt.Errorf("%v: %w", args, err)
	}
	// Some clients print to the standard output: the result is the last line.
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return json.Unmarshal([]byte(lines[len(lines)-1]), into)
}

func find(name string) (library, error) {
	for _, l := range libraries() {
		if l.Name == name {
			return l, nil
		}
	}
	return library{}, fmt.Errorf("no client %q", name)
}
