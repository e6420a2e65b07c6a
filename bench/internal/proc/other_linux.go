package proc

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// StartOther starts another program, on the processors that this process has now. It dies with this process.
func StartOther(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := startOn(cmd, Any); err != nil {
		return err
	}
	// A server of many streams needs as many descriptors; programs in Go see to that themselves, others do not.
	var limit unix.Rlimit
	if err := unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		return fmt.Errorf("descriptors of %s: %w", cmd.Path, err)
	}
	limit.Cur = limit.Max
	return unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_NOFILE, &limit, nil)
}

// UsedBy returns the processor time and the resident size of another process. With settle, it waits until the resident
// size stays where it is; nothing makes the process collect garbage.
func UsedBy(pid int, settle bool) (u Usage, err error) {
	if u.RSS, err = residentOf(strconv.Itoa(pid)); err != nil {
		return u, err
	}
	for last := int64(-1); settle && (u.RSS > last+last/200 || u.RSS < last-last/200); {
		last = u.RSS
		time.Sleep(100 * time.Millisecond)
		if u.RSS, err = residentOf(strconv.Itoa(pid)); err != nil {
			return u, err
		}
	}
	// The clock of another process's time has its number in it: see clock_getcpuclockid(3).
	const schedClock = 2
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedClock), &ts); err != nil {
		return u, fmt.Errorf("processor time of %d: %w", pid, err)
	}
	u.CPU = ts.Nano()
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	u.FDs = len(fds)
	return u, err
}
