package procfs

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Load is the machine's load: the mean number of runnable or waiting tasks over 1, 5 and 15 minutes, and how many tasks
// run now out of how many there are.
type Load struct {
	One, Five, Fifteen float64
	Running, Tasks     int
}

// ParseLoad parses /proc/loadavg.
func ParseLoad(r io.Reader) (Load, error) {
	text, err := io.ReadAll(io.LimitReader(r, 4096))
	if err != nil {
		return Load{}, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 4 {
		return Load{}, fmt.Errorf("%w: %q has fewer than 4 columns", ErrFormat, text)
	}
	var l Load
	for i, p := range []*float64{&l.One, &l.Five, &l.Fifteen} {
		if *p, err = strconv.ParseFloat(fields[i], 64); err != nil {
			return Load{}, fmt.Errorf("%w: %q is no load", ErrFormat, fields[i])
		}
	}
	running, tasks, _ := strings.Cut(fields[3], "/")
	var errRunning, errTasks error
	l.Running, errRunning = strconv.Atoi(running)
	l.Tasks, errTasks = strconv.Atoi(tasks)
	if errRunning != nil || errTasks != nil {
		return Load{}, fmt.Errorf("%w: %q is not running/tasks", ErrFormat, fields[3])
	}
	return l, nil
}
