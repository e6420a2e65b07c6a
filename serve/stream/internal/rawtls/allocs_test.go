//go:build linux && !race

package rawtls_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Invariant 8: a delivery over TLS allocates nothing.
func TestWriteAllocatesNothing(t *testing.T) {
	s, room := take(t)
	for _, size := range []int{200, 10_000} {
		frame := make([]byte, size)
		require.Zero(t, testing.AllocsPerRun(200, func() {
			writeAll(s, room, frame)
		}), "%d bytes", size)
	}
}
