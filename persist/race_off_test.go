//go:build !race

package persist_test

// raceEnabled says that everything is slow.
const raceEnabled = false
