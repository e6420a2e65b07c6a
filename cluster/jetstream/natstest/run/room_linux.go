package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
)

// To fill a hub's disk there has to be one that may be filled: a small one in memory.
// The program mounts it where nobody else sees it, in name spaces of its own, which takes
// no rights on most machines.

const roomVariable = "SPATETEST_CLUSTER_ROOM"

func inRoomOfItsOwn() bool { return os.Getenv(roomVariable) != "" }

// enterRoom runs the program again, in name spaces of its own where that is allowed, and
// returns how it ended.
func enterRoom() int {
	runtime.LockOSThread() // whose end would be told to the other one
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGTERM}
	if uid, gid := os.Getuid(), os.Getgid(); uid != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: gid, Size: 1}}
	}
	again := func(attr *syscall.SysProcAttr, room string) (*exec.Cmd, error) {
		cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		cmd.SysProcAttr = attr
		cmd.Env = append(os.Environ(), roomVariable+"="+room)
		return cmd, cmd.Start()
	}
	cmd, err := again(attr, "private")
	if err != nil {
		fmt.Println("no disks are filled, as none can be mounted:", err)
		if cmd, err = again(nil, "shared"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	go func() {
		for s := range signals {
			if s != os.Interrupt { // which it gets too
				_ = cmd.Process.Signal(s)
			}
		}
	}()
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code >= 0 {
		return code
	}
	return 1 // killed
}

// mountSmall mounts a small disk, if it may.
func mountSmall(p *program, path string) bool {
	if os.Getenv(roomVariable) != "private" {
		return false
	}
	err := syscall.Mount("", "/", "", syscall.MS_PRIVATE|syscall.MS_REC, "")
	if err == nil {
		err = syscall.Mount("tmpfs", path, "tmpfs", 0, fmt.Sprintf("size=%d", diskSize))
	}
	if err != nil {
		fmt.Println("no disks are filled, as none can be mounted:", err)
		return false
	}
	p.Cleanup(func() { _ = syscall.Unmount(path, syscall.MNT_DETACH) })
	return true
}
