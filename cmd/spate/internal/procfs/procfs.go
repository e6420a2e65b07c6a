// Package procfs reads the few files of Linux's /proc that the demo feed draws: processor time, memory, network
// counters, load, and the calling process's own size. Parsers take a reader, so that tests feed them fixtures; FS reads
// the files below a root, which is /proc outside tests.
package procfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Root is where Linux mounts the process file system.
const Root = "/proc"

// ErrFormat is wrapped by every parser's error on a file that does not look as proc(5) describes it.
var ErrFormat = errors.New("unexpected format")

// FS is a process file system mounted at the path.
type FS string

// Available reports whether the files that this package reads are there.
func (fs FS) Available() bool {
	for _, name := range []string{"stat", "meminfo", "loadavg", "net/dev"} {
		if _, err := os.Stat(fs.path(name)); err != nil {
			return false
		}
	}
	return true
}

// Stat reads processor times.
func (fs FS) Stat() (Stat, error) { return read(fs.path("stat"), ParseStat) }

// Mem reads the machine's memory.
func (fs FS) Mem() (Mem, error) { return read(fs.path("meminfo"), ParseMem) }

// Load reads the load averages.
func (fs FS) Load() (Load, error) { return read(fs.path("loadavg"), ParseLoad) }

// Net reads the counters of all network interfaces.
func (fs FS) Net() ([]Interface, error) { return read(fs.path("net/dev"), ParseNet) }

// Resident reads the calling process's resident memory in bytes.
func (fs FS) Resident() (uint64, error) { return read(fs.path("self/statm"), parseStatm) }

// OpenFiles counts the calling process's open file descriptors, perhaps one that is used for counting included. With very
// many that is dear before Linux 6.2; since then the folder's size is their number.
func (fs FS) OpenFiles() (int, error) {
	path := fs.path("self/fd")
	if fs == Root {
		if info, err := os.Stat(path); err == nil && info.Size() > 0 {
			return int(info.Size()), nil
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	return len(names), err
}

func (fs FS) path(name string) string { return filepath.Join(string(fs), filepath.FromSlash(name)) }

// read parses one file; the error names it.
func read[T any](path string, parse func(io.Reader) (T, error)) (T, error) {
	f, err := os.Open(path)
	if err != nil {
		var zero T
		return zero, err
	}
	defer f.Close()
	v, err := parse(f)
	if err != nil {
		return v, fmt.Errorf("%s: %w", path, err)
	}
	return v, nil
}
