package engine_test

import (
	"context"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

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

// Invariant 5 among publishers: a large push that waits for room is not kept out by small
// ones, for which there is some all the time. Once it has waited for long, those that
// come leave it the room.
func TestLargePushIsNotKeptOut(t *testing.T) {
	const bound = 64 << 10
	const full = engine.MemoryFactor*bound - 1000 // room for small ones alone
	h := newHub(t, engine.WithRingBytes(bound), engine.WithShards(1))
	engine.Hold(h, full)
	small := func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		_, err := h.Publish(ctx, nil, message("small"))
		return err
	}
	require.NoError(t, small())
	done := make(chan error, 1)
	go func() { done <- h.Push(nil, message(strings.Repeat("x", 2*bound))) }()
	require.Eventually(t, func() bool { return engine.Hungry(h) == 1 }, time.Minute, time.Millisecond)
	require.ErrorIs(t, small(), context.DeadlineExceeded)
	engine.Hold(h, -full+1000)
	require.NoError(t, <-done)
	engine.Hold(h, -1000)
	require.Zero(t, engine.Hungry(h))
	settled(h)
	require.NoError(t, h.Push(nil, message("small")))
}

// What is held is what is counted: audiences shorten the history as frames do.
func TestAudiencesAreBoundedByBytes(t *testing.T) {
	const bound, users, pushes = 1 << 20, 1000, 400
	h := newHub(t, engine.WithRingBytes(bound), engine.WithShards(3))
	join(t, h, engine.Subscription{UID: "0", StallTimeout: -1}, 10)
	names := make([]string, users)
	for i := range names {
		names[i] = strings.Repeat("n", 100) + strconv.Itoa(i)
	}
	each := message("x")
	each.Users = names
	before := heapInUse()
	for i := range pushes {
		if i%2 == 0 {
			require.NoError(t, h.Push(names, message("x"), message("y")))
		} else {
			require.NoError(t, h.Push(nil, message("x"), each))
		}
	}
	settled(h)
	require.LessOrEqual(t, engine.HeldBytes(h), int64(bound))
	require.Greater(t, engine.HeldBytes(h), int64(bound*8/10), "names are counted: a frame here has 40 bytes")
	require.Less(t, heapInUse()-before, int64(4*bound), "400 audiences of 120 KB would be 48 MB")
}

// heapInUse returns the bytes of live objects.
func heapInUse() int64 {
	runtime.GC()
	runtime.GC() // what pools kept through the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
