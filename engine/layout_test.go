package engine

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// What a live delivery reads of a client lies in one line of the cache: it comes
// first, and the size is one that the allocator puts at the beginning of a line.
func TestALiveDeliveryReadsOneLine(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("for pointers of 64 bits")
	}
	const line = 64
	var c client
	require.LessOrEqual(t, unsafe.Offsetof(c.form)+unsafe.Sizeof(c.form), uintptr(line))
	require.LessOrEqual(t, unsafe.Offsetof(c.flags)+unsafe.Sizeof(c.flags), uintptr(line))
	require.EqualValues(t, 3*line, unsafe.Sizeof(c), "a size class of its own")
}
