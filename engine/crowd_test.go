package engine_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/internal/testrace"
)

// A connection with a user and a topic of its own takes less than 400 bytes, its names and its places among the others
// included, so that a million are nothing. What they took is given back. (Invariant 5.)
func TestSubscribersAreSmall(t *testing.T) {
	if testrace.On {
		t.Skip("the race detector takes memory of its own")
	}
	const n = 50_000
	h := newHub(t, engine.WithHeartbeat(-1))
	before := liveHeap()
	subs := make([]engine.Subscriber, n)
	for i := range subs {
		var err error
		subs[i], err = h.Subscribe(engine.Subscription{UID: fmt.Sprintf("user-%07d", i), Topics: []string{fmt.Sprintf("topic-%07d", i)}}, nowhere{})
		require.NoError(t, err)
	}
	online(t, h, n)
	held := liveHeap() - before - int64(len(subs)*8)
	require.Less(t, held/n, int64(400), "bytes each")
	for _, s := range subs {
		s.Hangup(nil)
	}
	clear(subs)
	online(t, h, 0)
	require.Less(t, liveHeap()-before, held/20+int64(len(subs)*8), "of %d", held)
}

// online waits until so many are there.
func online(t *testing.T, h *engine.Hub, n int) {
	require.Eventually(t, func() bool { return h.OnlineClientsNum() == n }, time.Minute, time.Millisecond)
}

// nowhere takes everything.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) Close(error)                 {}

// liveHeap is what is reachable.
func liveHeap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
