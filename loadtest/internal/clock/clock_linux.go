package clock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// monotonic reads CLOCK_MONOTONIC, which all processes of a machine share.
func monotonic() int64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return 0
	}
	return ts.Nano()
}

// Sleeper sleeps for one goroutine. A timer of the Go runtime may fire up to a
// millisecond late, because the runtime waits in whole milliseconds; the
// descriptor of a kernel timer, waited for by the runtime's poller, fires within
// some ten microseconds and holds no thread meanwhile.
type Sleeper struct {
	file *os.File
	fd   int
}

// NewSleeper takes one descriptor until Close.
func NewSleeper() (*Sleeper, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create a timer descriptor: %w", err)
	}
	return &Sleeper{file: os.NewFile(uintptr(fd), "timerfd"), fd: fd}, nil
}

// Sleep returns after d, or earlier with the context's error.
func (s *Sleeper) Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))}
	if err := unix.TimerfdSettime(s.fd, 0, &spec, nil); err != nil {
		return fmt.Errorf("set a timer: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = s.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var ticks [8]byte
	if _, err := s.file.Read(ticks[:]); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return context.Canceled // an earlier Sleep's context ended
		}
		return fmt.Errorf("wait for a timer: %w", err)
	}
	return ctx.Err()
}

// Close gives the descriptor back. No Sleep may be running.
func (s *Sleeper) Close() error { return s.file.Close() }
