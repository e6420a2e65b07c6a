// Package testrace lets tests that the race detector has nothing to look for in, as they
// do one thing after the other, run without it: it makes them five to ten times as slow.
// `make test` runs their packages a second time, without the race detector.
package testrace

import "testing"

// Pointless skips the test under the race detector.
func Pointless(t testing.TB) {
	t.Helper()
	if On {
		t.Skip("one thing after the other: runs without the race detector")
	}
}
