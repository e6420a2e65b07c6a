package procfs

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc/<pid>/stat: what Linux tells programs is 100 a second on every architecture.
const tick = 10 * time.Millisecond

// ProcessorTime reads how long the calling process's threads have run, in user and kernel mode.
func (fs FS) ProcessorTime() (time.Duration, error) {
	return read(fs.path("self/stat"), parseProcessorTime)
}

// parseProcessorTime returns the sum of utime and stime, columns 14 and 15. Column 2 is a name in parentheses that may
// have any character, parentheses too: columns are counted behind the last of them.
func parseProcessorTime(r io.Reader) (time.Duration, error) {
	text, err := io.ReadAll(io.LimitReader(r, 4096))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("%w: %q has no column 15", ErrFormat, text)
	}
	var sum uint64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseUint(field, 10, 53)
		if err != nil {
			return 0, fmt.Errorf("%w: %q is no time", ErrFormat, field)
		}
		sum += n
	}
	return time.Duration(sum) * tick, nil
}
