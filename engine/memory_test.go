package engine_test

import (
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/spatehub/spate/engine"
	"github.com/stretchr/testify/require"
)

// Memory is bounded by bytes, too: large frames shorten the history, and
// publishers go on, whoever reads.
func TestLargeFramesAreBoundedByBytes(t *testing.T) {
	const frame, bound = 16 << 10, 1 << 20
	h := newHub(t, engine.WithRingBytes(bound), engine.WithShards(3))
	var stalled []*memSink
	for i := range 3 {
		stalled = append(stalled, join(t, h, engine.Subscription{UID: strconv.Itoa(i), StallTimeout: -1}, 10))
	}
	data := strings.Repeat("x", frame)
	const publishers, each = 4, 100
	var wg sync.WaitGroup
	for range publishers {
		wg.Go(func() {
			for range each {
				if err := h.Push([]string{"0", "1", "2", "nobody"}, message(data)); err != nil {
					t.Error(err)
				}
				if held := engine.HeldBytes(h); held > engine.MemoryFactor*bound+publishers*(frame+1024) {
					t.Errorf("the ring holds %d bytes", held)
				}
			}
		})
	}
	wg.Wait()
	st := requireSums(t, h)
	require.EqualValues(t, 4*publishers*each, st.Pushed)
	require.LessOrEqual(t, engine.HeldBytes(h), int64(bound), "at rest the history is within its bound")
	require.Greater(t, engine.HeldBytes(h), int64(bound*9/10), "and makes use of it")
	for _, s := range stalled {
		require.LessOrEqual(t, engine.Footprint(h, s.sub), frame+100)
	}
}

// A frame larger than everything that the ring should hold passes all the same.
func TestFrameLargerThanTheRingsBound(t *testing.T) {
	const bound = 64 << 10
	h := newHub(t, engine.WithRingBytes(bound), engine.WithShards(2))
	s := join(t, h, engine.Subscription{}, 1000)
	other := join(t, h, engine.Subscription{}, -1)
	data := strings.Repeat("x", engine.MemoryFactor*bound+1000)
	require.NoError(t, h.Push(nil, message(data)))
	require.NoError(t, h.Push(nil, message("after")))
	settled(h)
	require.LessOrEqual(t, engine.HeldBytes(h), int64(bound))
	s.allow(-1)
	for _, s := range []*memSink{s, other} {
		s.awaitText("\ndata: after\n")
		require.Equal(t, []string{data, "after"}, s.data(t))
	}
}
