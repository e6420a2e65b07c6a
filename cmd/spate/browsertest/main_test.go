// Package browsertest watches the hub's dashboard in a real Chromium, through kills and restarts of the hub.
package browsertest_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), // idle connections of http.DefaultClient
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
	)
}
