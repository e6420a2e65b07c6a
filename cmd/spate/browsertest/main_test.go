// Package browsertest watches the hub's dashboard in a real Chromium and a real Firefox: through kills and restarts of the
// hub, in many tabs, by keyboard and touch, and with axe-core for contrast and roles.
package browsertest_test

import (
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(suite{m},
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), // idle connections of http.DefaultClient
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
	)
}

// A suite runs all tests and then ends what they had in common: browsers take long to start.
type suite struct{ m *testing.M }

func (s suite) Run() int {
	code := s.m.Run()
	for _, end := range ends {
		end()
	}
	return code
}

// ends are called in order after all tests.
var ends []func()

// scratch is a folder for what the tests have in common.
var scratch = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "spate-browsertest-")
	ends = append(ends, func() { _ = os.RemoveAll(dir) })
	return dir, err
})
