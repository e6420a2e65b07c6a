package rawsock_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain: the poller's goroutine ends with the last connection.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
