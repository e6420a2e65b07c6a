package client_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(panicEnv) != "" {
		panicInCallback()
		return
	}
	goleak.VerifyTestMain(m)
}
