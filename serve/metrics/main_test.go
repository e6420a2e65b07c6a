package metrics_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// The goroutines there are now belong to the default pool of ants, which nobody uses.
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
