//go:build !race

package engine_test

// raceEnabled says that the race detector is built in.
const raceEnabled = false
