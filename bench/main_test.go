//go:build linux

package bench_test

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/spatehub/spate/bench/internal/rig"
	"github.com/spatehub/spate/bench/internal/server"
)

func TestMain(m *testing.M) {
	rig.Main(server.Ours())
	os.Exit(m.Run())
}

// span is how long one run over real sockets publishes.
var span = envDuration("SPATETEST_BENCH_SPAN", 2*time.Second)

// envDuration reads a duration from the environment; a value that is none stops everything, rather than measure
// something else than was asked for.
func envDuration(name string, otherwise time.Duration) time.Duration {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		panic(name + "=" + text + " is no duration such as 2s")
	}
	return d
}

// envInt reads a positive number likewise.
func envInt(name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		panic(name + "=" + text + " is no positive number")
	}
	return n
}
