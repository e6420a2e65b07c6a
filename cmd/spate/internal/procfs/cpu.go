package procfs

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// CPU is the time that a processor has spent in each state since boot, in clock ticks. Time spent running guests is
// part of User.
type CPU struct {
	User, Nice, System, Idle, IOWait, IRQ, SoftIRQ, Steal uint64
}

// Stat is what /proc/stat says of the processors.
type Stat struct {
	Total CPU
	Cores []CPU
}

// Usage is the share of each kind of work in an interval, in percent of the processor's time in that interval.
type Usage struct {
	User   float64 // user and nice
	System float64 // kernel, interrupts included
	IOWait float64
	Steal  float64
}

// Busy is everything but idle and waiting for I/O.
func (u Usage) Busy() float64 { return u.User + u.System + u.Steal }

// Since returns the usage between the earlier reading prev and c. Counters may run backwards a little (idle and iowait
// do on some kernels): such a difference counts as 0. No time passed gives the zero Usage.
func (c CPU) Since(prev CPU) Usage {
	user := diff(c.User, prev.User) + diff(c.Nice, prev.Nice)
	system := diff(c.System, prev.System) + diff(c.IRQ, prev.IRQ) + diff(c.SoftIRQ, prev.SoftIRQ)
	iowait := diff(c.IOWait, prev.IOWait)
	steal := diff(c.Steal, prev.Steal)
	total := user + system + iowait + steal + diff(c.Idle, prev.Idle)
	if total == 0 {
		return Usage{}
	}
	percent := func(n float64) float64 { return 100 * n / total }
	return Usage{User: percent(user), System: percent(system), IOWait: percent(iowait), Steal: percent(steal)}
}

func diff(now, before uint64) float64 {
	if now < before {
		return 0
	}
	return float64(now - before)
}

// ParseStat parses /proc/stat. Kernels before 2.6 write fewer columns; those missing are 0.
func ParseStat(r io.Reader) (Stat, error) {
	var st Stat
	seen := false
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<20) // the intr line grows with the machine
	for sc.Scan() {
		fields := strings.Fields(sc.Text())
		if len(fields) == 0 || !strings.HasPrefix(fields[0], "cpu") {
			continue
		}
		c, err := parseCPU(fields)
		if err != nil {
			return Stat{}, err
		}
		if fields[0] == "cpu" {
			st.Total, seen = c, true
			continue
		}
		st.Cores = append(st.Cores, c)
	}
	if err := sc.Err(); err != nil {
		return Stat{}, err
	}
	if !seen {
		return Stat{}, fmt.Errorf("%w: no cpu line", ErrFormat)
	}
	return st, nil
}

func parseCPU(fields []string) (CPU, error) {
	var c CPU
	columns := []*uint64{&c.User, &c.Nice, &c.System, &c.Idle, &c.IOWait, &c.IRQ, &c.SoftIRQ, &c.Steal}
	if len(fields) < 5 {
		return CPU{}, fmt.Errorf("%w: %q has fewer than 4 times", ErrFormat, strings.Join(fields, " "))
	}
	for i, p := range columns {
		if i+1 >= len(fields) {
			break
		}
		n, err := strconv.ParseUint(fields[i+1], 10, 64)
		if err != nil {
			return CPU{}, fmt.Errorf("%w: %s: %q is no number", ErrFormat, fields[0], fields[i+1])
		}
		*p = n
	}
	return c, nil
}
