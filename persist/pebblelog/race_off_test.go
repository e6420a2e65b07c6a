//go:build !race

package pebblelog_test

// raceEnabled says that everything is slow.
const raceEnabled = false
