package proc

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Shared is a word of memory that the processes of one benchmark share.
//
// The reader stores how many events every stream has had; the publisher loads it to keep a bounded number under way.
type Shared struct {
	*atomic.Uint64
	mem []byte
}

// NewShared makes a shared word, and returns the name of the file by which others open it; the caller removes the file.
func NewShared() (s *Shared, name string, err error) {
	f, err := os.CreateTemp("/dev/shm", "spate-bench-*")
	if err != nil {
		return nil, "", err
	}
	name = f.Name()
	err = f.Truncate(int64(os.Getpagesize()))
	if f.Close(); err != nil {
		return nil, "", err
	}
	s, err = OpenShared(name)
	return s, name, err
}

// OpenShared opens another process's shared word.
func OpenShared(name string) (*Shared, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	mem, err := unix.Mmap(int(f.Fd()), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", name, err)
	}
	return &Shared{(*atomic.Uint64)(unsafe.Pointer(&mem[0])), mem}, nil
}

// Close unmaps the word; it must not be used any more.
func (s *Shared) Close() error { return unix.Munmap(s.mem) }
