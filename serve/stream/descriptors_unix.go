//go:build unix

package stream

import (
	"errors"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// descriptorLimit returns how many descriptors the process may have open.
func descriptorLimit() (limit int, ok bool) {
	var r unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &r) != nil || uint64(r.Cur) > math.MaxInt32 {
		return 0, false
	}
	return int(r.Cur), true
}

// lowestDescriptor returns the lowest number that is free.
func lowestDescriptor() (int, error) {
	fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
		return 0, errNoDescriptor
	}
	if err != nil {
		return 0, err // no such device in this root: nothing is known
	}
	return fd, unix.Close(fd)
}
