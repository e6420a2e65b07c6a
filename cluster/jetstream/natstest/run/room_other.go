//go:build !linux

package main

import "fmt"

func inRoomOfItsOwn() bool { return true }

func enterRoom() int { return 1 } // never: it is in one

// mountSmall mounts nothing here.
func mountSmall(*program, string) bool {
	fmt.Println("no disks are filled, as none can be mounted on this system")
	return false
}
