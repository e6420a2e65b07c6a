package engine_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

const (
	slowEvents = 50_000
	slowChunk  = 500
	slowOthers = 2
)

// slowRun pushes 50,000 events past one connection that takes a few bytes and
// then none, while others read. It returns the stalled one and the first ID.
func slowRun(t *testing.T, h *engine.Hub) (stalled *memSink, first uint64) {
	var healthy []*memSink
	for range slowOthers {
		healthy = append(healthy, join(t, h, engine.Subscription{}, -1))
	}
	stalled = join(t, h, engine.Subscription{UID: "slow", StallTimeout: -1}, 100)
	pad := strings.Repeat("x", 100)
	first = h.LastID() + 1
	frames := int64(0)
	for i := 0; i < slowEvents; i += slowChunk {
		batch := make([]*wire.Event, slowChunk)
		for k := range batch {
			batch[k] = message(strconv.Itoa(i+k) + " " + pad)
		}
		require.NoError(t, h.Push(nil, batch...))
		frames = max(frames, engine.HeldBytes(h))
	}
	for _, s := range healthy {
		s.awaitText("\ndata: " + strconv.Itoa(slowEvents-1) + " ")
		ids := s.ids(t)
		require.Len(t, ids, slowEvents, "a healthy connection gets everything")
		require.Equal(t, first, ids[0])
		require.Equal(t, first+slowEvents-1, ids[slowEvents-1])
	}
	require.LessOrEqual(t, frames, int64(h.Stats().RingSize*256), "memory is bounded by the ring; buffers count as they are, with room")
	return stalled, first
}

// Invariant 5 without a log: a connection that never reads delays nobody and
// costs its queue only; what it missed is told as a gap, and accounted.
func TestStalledClientDelaysNobodyWithoutLog(t *testing.T) {
	h := newHub(t, engine.WithPushTimeout(time.Hour, 3)) // so that the window alone decides what is lost
	stalled, first := slowRun(t, h)
	st := requireSums(t, h)
	require.EqualValues(t, (slowOthers+1)*slowEvents, st.Pushed)
	require.LessOrEqual(t, engine.Footprint(h, stalled.sub), 200, "the rest of one frame")
	require.LessOrEqual(t, int(st.Pending), st.RingSize/2, "the queue is bounded")

	stalled.allow(-1)
	stalled.awaitText("\ndata: " + strconv.Itoa(slowEvents-1) + " ")
	st = requireSums(t, h)
	require.Zero(t, st.Pending)
	ids := stalled.ids(t)
	require.EqualValues(t, slowOthers*slowEvents+len(ids), st.Delivered)
	require.EqualValues(t, slowEvents-len(ids), st.Dropped+st.TimedOut)
	requireGapsTell(t, stalled, first, first+slowEvents-1)
	require.Equal(t, "live", engine.StateOf(h, stalled.sub))
}

// requireGapsTell requires that every ID from first to last was received or
// lies in a gap told where it is missing, and that no gap covers a received one.
func requireGapsTell(t testing.TB, s *memSink, first, last uint64) {
	t.Helper()
	next := first // the ID expected now
	for _, e := range s.events(t) {
		if e.Event == engine.GapEvent {
			g := gapOf(t, e)
			require.Equal(t, next-1, g.from, "a gap begins after the last event received")
			require.Greater(t, g.to, g.from)
			next = g.to + 1
			continue
		}
		if id, err := wire.ParseID(e.ID); err != nil || id != next {
			require.Equal(t, next, id, "events are missing or doubled without a gap (%v)", err)
		}
		next++
	}
	require.Equal(t, last+1, next)
}

// Invariant 5 with a log: meanwhile the connection is only a position, and when
// it reads again it gets everything once and in order.
func TestStalledClientCatchesUpFromLog(t *testing.T) {
	h := newHub(t, engine.WithLog(persist.NewMemory()))
	stalled, first := slowRun(t, h)
	requireSums(t, h)
	require.Equal(t, "behind", engine.StateOf(h, stalled.sub))
	require.LessOrEqual(t, engine.Footprint(h, stalled.sub), 200, "the rest of one frame")

	stalled.allow(1_000_000) // some of the way, then stalled again amid a page
	stalled.await(func() bool { return stalled.room == 0 })
	requireSums(t, h)
	require.LessOrEqual(t, engine.Footprint(h, stalled.sub), 200, "no page is kept")

	stalled.allow(-1)
	stalled.awaitText("\ndata: " + strconv.Itoa(slowEvents-1) + " ")
	st := requireSums(t, h)
	require.Zero(t, st.Pending)
	require.Zero(t, stalled.gaps(t))
	ids := stalled.ids(t)
	require.Len(t, ids, slowEvents)
	require.Equal(t, first, ids[0])
	require.Equal(t, first+slowEvents-1, ids[slowEvents-1])
	require.EqualValues(t, (slowOthers+1)*slowEvents, st.Pushed)
	require.EqualValues(t, (slowOthers+1)*slowEvents, st.Delivered)
	require.Equal(t, "live", engine.StateOf(h, stalled.sub))
}

// The pages of a user's own events are not kept for a stalled connection.
func TestStalledClientKeepsNoPageOfItsOwn(t *testing.T) {
	h := newHub(t, engine.WithLog(persist.NewMemory()), engine.WithChanBufferSize(64))
	s := join(t, h, engine.Subscription{UID: "u"}, 0)
	pad := strings.Repeat("x", 1000)
	for i := range 1000 {
		require.NoError(t, h.Push([]string{"u"}, message(strconv.Itoa(i)+" "+pad)))
	}
	s.allow(10_000)
	s.await(func() bool { return s.room == 0 })
	settled(h)
	require.Equal(t, "behind", engine.StateOf(h, s.sub))
	require.LessOrEqual(t, engine.Footprint(h, s.sub), 1100)
	s.allow(-1)
	s.awaitText("\ndata: 999 ")
	require.Len(t, s.ids(t), 1000)
}
