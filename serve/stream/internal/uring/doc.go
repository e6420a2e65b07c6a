// Package uring has the kernel do many sends by one system call: io_uring, of which
// this is the part that is needed and nothing else (the interface: io_uring(7),
// io_uring_setup(2), io_uring_enter(2)). Sends do not wait, so all have ended when the call
// returns, and nothing that they point to is held longer.
//
// It needs Linux 5.18, and a system that lets its programs have it: containers
// often do not, and kernel.io_uring_disabled forbids it. Then [New] says so.
package uring
