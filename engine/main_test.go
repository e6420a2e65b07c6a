package engine_test

import (
	"log/slog"
	"testing"

	"go.uber.org/goleak"
)

// The pool that ants makes for itself at start runs on; it is not ours.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// testLogger writes to the test's log, until the test is over.
func testLogger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}
