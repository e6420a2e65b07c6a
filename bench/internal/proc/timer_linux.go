package proc

import (
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Timer ticks on a kernel timer that the runtime's poller waits for. A timer of the runtime may be a millisecond late,
// because an idle processor sleeps in whole milliseconds; this one is late by some ten microseconds. One goroutine may
// use it.
type Timer struct {
	file *os.File
	fd   int
}

// NewTimer takes one descriptor until Close.
func NewTimer() (*Timer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create a timer descriptor: %w", err)
	}
	return &Timer{file: os.NewFile(uintptr(fd), "timerfd"), fd: fd}, nil
}

// Start makes the timer tick every d, first after d; 0 stops it.
func (t *Timer) Start(d time.Duration) error {
	every := unix.NsecToTimespec(int64(d))
	return unix.TimerfdSettime(t.fd, 0, &unix.ItimerSpec{Interval: every, Value: every}, nil)
}

// Wait returns at the next tick, with the number of ticks since the last Wait.
func (t *Timer) Wait() (uint64, error) {
	var ticks [8]byte
	if _, err := t.file.Read(ticks[:]); err != nil {
		return 0, fmt.Errorf("wait for a timer: %w", err)
	}
	return binary.NativeEndian.Uint64(ticks[:]), nil
}

// Close gives the descriptor back.
func (t *Timer) Close() error { return t.file.Close() }
