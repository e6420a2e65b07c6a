//go:build !race

package compress_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCodingAllocatesNothing holds invariant 8 for what the coding adds.
func TestCodingAllocatesNothing(t *testing.T) {
	short, long := bytes.Repeat([]byte("x"), 100), bytes.Repeat([]byte("data: some\n\n"), 400)
	for _, r := range receivers {
		dst := make([]byte, 0, 16<<10)
		allocs := testing.AllocsPerRun(200, func() {
			dst = r.coding.AppendRun(r.coding.AppendRun(dst[:0], short), long)
		})
		require.Zero(t, allocs, r.name)
	}
}
