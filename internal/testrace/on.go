//go:build race

package testrace

// On says that the race detector is built in.
const On = true
