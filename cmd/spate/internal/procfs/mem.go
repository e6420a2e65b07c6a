package procfs

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Mem is the machine's memory in bytes.
type Mem struct {
	Total, Free, Available, Buffers, Cached, SwapTotal, SwapFree uint64
}

// Used is what programs hold: all memory that is not available to a new one.
func (m Mem) Used() uint64 { return m.Total - min(m.Available, m.Total) }

// SwapUsed is the part of the swap space in use.
func (m Mem) SwapUsed() uint64 { return m.SwapTotal - min(m.SwapFree, m.SwapTotal) }

// ParseMem parses /proc/meminfo. Where the kernel gives no MemAvailable (before 3.14), free memory, buffers and page
// cache stand for it.
func ParseMem(r io.Reader) (Mem, error) {
	var m Mem
	wanted := map[string]*uint64{
		"MemTotal": &m.Total, "MemFree": &m.Free, "MemAvailable": &m.Available, "Buffers": &m.Buffers,
		"Cached": &m.Cached, "SwapTotal": &m.SwapTotal, "SwapFree": &m.SwapFree,
	}
	seen := map[string]bool{}
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		name, rest, ok := strings.Cut(sc.Text(), ":")
		p := wanted[name]
		if !ok || p == nil {
			continue
		}
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			return Mem{}, fmt.Errorf("%w: %s has no value", ErrFormat, name)
		}
		n, err := strconv.ParseUint(fields[0], 10, 54) // 54 bits of KiB are 64 bits of bytes
		if err != nil {
			return Mem{}, fmt.Errorf("%w: %s: %q is no number of KiB", ErrFormat, name, fields[0])
		}
		*p, seen[name] = n<<10, true
	}
	if err := sc.Err(); err != nil {
		return Mem{}, err
	}
	if !seen["MemTotal"] {
		return Mem{}, fmt.Errorf("%w: no MemTotal line", ErrFormat)
	}
	if !seen["MemAvailable"] {
		m.Available = m.Free + m.Buffers + m.Cached
	}
	return m, nil
}

// parseStatm returns the second column of /proc/self/statm, resident pages, in bytes.
func parseStatm(r io.Reader) (uint64, error) {
	text, err := io.ReadAll(io.LimitReader(r, 4096))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, fmt.Errorf("%w: %q has no second column", ErrFormat, text)
	}
	pages, err := strconv.ParseUint(fields[1], 10, 40)
	if err != nil {
		return 0, fmt.Errorf("%w: %q is no number of pages", ErrFormat, fields[1])
	}
	return pages * uint64(os.Getpagesize()), nil
}
