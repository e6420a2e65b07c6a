//go:build spatecheck

package ringbuf_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/ringbuf"
)

// A checked build tells who uses a slot too early or too late.
func TestCheckedBuildTellsMisuse(t *testing.T) {
	for _, start := range starts {
		r := ringbuf.NewRing[uint64](2, start, nil)
		rd := r.NewReader()
		rd.SetWindow(1)
		require.Panics(t, func() { r.Slot(start + 1) }, "not claimed")
		require.Panics(t, func() { r.Publish(start+1, 1) }, "not claimed")
		put(t, r)
		require.Panics(t, func() { r.Publish(start+1, 1) }, "published")
		put(t, r)
		requireNext(t, rd, 0, start+1, start+2)
		rd.Advance(start + 2)
		require.Panics(t, func() { r.Slot(start + 1) }, "released")
		require.NotPanics(t, func() { r.Slot(start + 2) }, "held by the window")
		r.Close()
		require.NotPanics(t, func() { r.Slot(start + 2) })
		require.Panics(t, func() { r.Slot(start + 3) }, "not claimed before Close")
		r.ReleaseAll()
		require.Panics(t, func() { r.Slot(start + 2) }, "released")
	}
}
