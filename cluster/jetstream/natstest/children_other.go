//go:build !linux

package natstest

import "syscall"

// child is how servers and hubs are started: Ctrl-C is not theirs.
func child() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
