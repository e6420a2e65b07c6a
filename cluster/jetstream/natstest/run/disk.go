package main

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// diskSize is that of a small disk.
const diskSize = 512 << 20

// disk is where a hub's folder is.
type disk struct {
	path  string
	small bool // it is one by itself, and can be filled
}

func newDisk(p *program, path string) *disk {
	if err := os.Mkdir(path, 0o700); err != nil {
		p.Fatal(err)
	}
	return &disk{path: path, small: mountSmall(p, path)}
}

func (d *disk) filler() string { return filepath.Join(d.path, "filler") }

// fill leaves no room.
func (d *disk) fill() error {
	f, err := os.Create(d.filler())
	if err != nil {
		return err
	}
	defer f.Close()
	for block := make([]byte, 1<<20); len(block) > 0; {
		n, err := f.Write(block)
		if errors.Is(err, syscall.ENOSPC) {
			block = block[:min(n, len(block)/2)]
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// free makes room again.
func (d *disk) free() { _ = os.Remove(d.filler()) }
