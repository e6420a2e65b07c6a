// Package testrace lets tests that do one thing after the other run without the race
// detector: it makes them five to ten times as slow. What they test may have goroutines of
// its own; other tests, or some rounds of the same ones, run these under the race detector.
// `make test` runs them a second time, without it.
package testrace

import "testing"

// Pointless skips the test under the race detector.
func Pointless(t testing.TB) {
	t.Helper()
	if On {
		t.Skip("it does one thing after the other, and runs without the race detector")
	}
}
