package natstest

import "syscall"

// child is how servers and hubs are started: Ctrl-C is not theirs, and they end with who
// started them.
func child() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
