//go:build !unix

package procs

import (
	"errors"
	"os"
)

// SharedMemory is memory that worker processes can map too.
type SharedMemory struct {
	File *os.File
	Mem  []byte
}

var errNoSharing = errors.New("worker processes need a Unix system: leave -procs at 1")

// NewSharedMemory fails on this system.
func NewSharedMemory(int) (*SharedMemory, error) { return nil, errNoSharing }

func mapFile(*os.File, int) ([]byte, error) { return nil, errNoSharing }

// Close has nothing to give back.
func (m *SharedMemory) Close() error { return nil }
