//go:build !unix

package probe

import "time"

// OwnCPU is not to be had on this system.
func OwnCPU() time.Duration { return 0 }

// NeedFiles has no limit to check on this system.
func NeedFiles(int, string) error { return nil }

// FileLimit is the number of files that a process may have open at most.
func FileLimit() int { return 1 << 24 }
