//go:build unix

package procs

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// SharedMemory is memory that worker processes can map too.
type SharedMemory struct {
	File *os.File // to hand to Spawn
	Mem  []byte
}

// NewSharedMemory makes size bytes, all 0.
func NewSharedMemory(size int) (*SharedMemory, error) {
	f, err := os.CreateTemp("", "spate-loadtest-*")
	if err != nil {
		return nil, fmt.Errorf("make memory to share with workers: %w", err)
	}
	defer os.Remove(f.Name()) // the descriptor is enough
	if err := f.Truncate(int64(size)); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("make memory to share with workers: %w", err)
	}
	mem, err := mapFile(f, size)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &SharedMemory{File: f, Mem: mem}, nil
}

// mapFile maps the first size bytes of f.
func mapFile(f *os.File, size int) ([]byte, error) {
	mem, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the memory shared with workers: %w", err)
	}
	return mem, nil
}

// Close gives the memory back. Nothing may use it any more.
func (m *SharedMemory) Close() error {
	err := unix.Munmap(m.Mem)
	if e := m.File.Close(); err == nil {
		err = e
	}
	return err
}
