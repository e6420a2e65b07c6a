package engine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// reasonTold returns the reason that the stream ends with, and requires that
// the disconnect event is the last one, and whole; it has an ID only where no other
// event has one.
func reasonTold(t testing.TB, s *memSink) string {
	t.Helper()
	events := s.events(t)
	require.NotEmpty(t, events)
	for _, e := range events[:len(events)-1] {
		require.NotEqual(t, engine.DisconnectEvent, e.Event, "told once, and last")
	}
	e := events[len(events)-1]
	require.Equal(t, engine.DisconnectEvent, e.Event)
	var d engine.Disconnect
	require.NoError(t, json.Unmarshal([]byte(e.Data.(string)), &d))
	frame := "event: disconnect\ndata: {\"reason\":\"" + d.Reason + "\"}\n\n"
	text := "\n\n" + string(s.body(t, s.buf))
	bare := strings.HasSuffix(text, "\n\n"+frame)
	placed := strings.HasSuffix(text, "\n"+frame) && strings.Count(text, "\nid: ") == 1
	require.True(t, bare || placed, "%q", s.buf)
	return d.Reason
}

// A frame that was sent in part is completed before the reason is told,
// wherever it was cut and in however small steps the sink takes the rest; it
// counts as delivered, and all behind it as failed.
func TestOverflowIsToldAfterTheFrameUnderWay(t *testing.T) {
	for room := range 50 { // a frame, and into the next
		synctest.Test(t, func(t *testing.T) {
			told := newFailures()
			h := newHub(t, told.option(), engine.WithChanBufferSize(64), engine.WithPolicy(engine.PolicyDisconnect))
			s := join(t, h, engine.Subscription{UID: "u"}, room)
			push1(t, h, 0, 17)
			frame := len("id: " + wire.FormatID(h.LastID()) + "\nevent: message\ndata: 0\n\n")
			begun := (room + frame - 1) / frame // frames under way or sent
			push1(t, h, 17, 19)
			require.Equal(t, "leaving", engine.StateOf(h, s.sub))
			st := requireSums(t, h)
			if room%frame != 0 {
				require.EqualValues(t, 1, st.Pending, "the frame under way alone")
			}
			for range 200 {
				s.allow(1 + room%3)
				synctest.Wait()
			}
			require.Equal(t, engine.ErrOverflow, s.awaitClosed())
			require.Equal(t, "overflow", reasonTold(t, s))
			require.Equal(t, numbers(0, begun), s.data(t))
			st = requireSums(t, h)
			require.EqualValues(t, begun, st.Delivered)
			require.Equal(t, numbers(begun, begun+int(st.Failed)), told.data(t), "each event that failed is told once")
			require.EqualValues(t, 19-begun, st.Failed+st.NoReceiver)
			require.Zero(t, st.Pending)
		})
	}
}

// A connection whose place leaves the window is told as well, be its queue
// ever so short.
func TestLosingThePlaceInTheWindowIsToldAsOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := newFailures()
		h := newHub(t, told.option(), engine.WithChanBufferSize(16), engine.WithPolicy(engine.PolicyDisconnect))
		s := join(t, h, engine.Subscription{UID: "u"}, 10)
		join(t, h, engine.Subscription{UID: "other"}, -1)
		push1(t, h, 0, 2)
		for range 20 {
			require.NoError(t, h.Push([]string{"other"}, message("x")))
			synctest.Wait()
		}
		requireSums(t, h)
		s.allow(-1)
		require.Equal(t, engine.ErrOverflow, s.awaitClosed())
		require.Equal(t, []string{"0"}, s.data(t), "the frame under way")
		require.Equal(t, "overflow", reasonTold(t, s))
		require.Equal(t, []string{"1"}, told.data(t))
		st := requireSums(t, h)
		require.EqualValues(t, 1, st.Dropped+st.Failed)
		require.Zero(t, st.Pending+st.Gaps, "the client resumes, and is told of a gap then if there is one")
	})
}

// A peer that does not take the reason is closed in a bounded time, its own
// stall time-out or five seconds, and costs the frame under way alone. It
// receives nothing any more, and is a receiver of nothing.
func TestPeerThatDoesNotTakeTheReasonIsClosedInTime(t *testing.T) {
	for stall, want := range map[time.Duration]time.Duration{
		-1: 5 * time.Second, 0: 5 * time.Second, time.Hour: 5 * time.Second, 2 * time.Second: 2 * time.Second,
	} {
		for _, room := range []int{0, 10} {
			t.Run(fmt.Sprintf("stall %v, room %d", stall, room), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					told := newFailures()
					h := newHub(t, told.option(), engine.WithChanBufferSize(64), engine.WithPolicy(engine.PolicyDisconnect))
					s := join(t, h, engine.Subscription{UID: "u", Topics: []string{"t"}, StallTimeout: stall}, room)
					push1(t, h, 0, 17)
					begin := time.Now()
					require.Equal(t, "leaving", engine.StateOf(h, s.sub))
					require.LessOrEqual(t, engine.Footprint(h, s.sub), 100, "one frame and one reason")
					leftOut(t, h)
					// What it takes meanwhile, short of the whole, buys no time.
					time.Sleep(want - 300*time.Millisecond)
					s.allow(1)
					synctest.Wait()
					require.LessOrEqual(t, engine.Footprint(h, s.sub), 100)
					require.Equal(t, 1, h.OnlineClientsNum())
					require.Equal(t, 1, h.Stats().Clients)
					require.ErrorIs(t, s.awaitClosed(), engine.ErrOverflow)
					require.ErrorIs(t, s.awaitClosed(), engine.ErrStalled)
					require.InDelta(t, want.Seconds(), time.Since(begin).Seconds(), 0.3, "the clock's grain")
					st := requireSums(t, h)
					require.Zero(t, st.Pending+st.Delivered)
					require.Equal(t, engine.Ends{Overflow: 1}, st.Ends)
					require.Zero(t, h.OnlineClientsNum())
				})
			})
		}
	}
}

// leftOut requires that user and topic have no receiver, however much is pushed.
func leftOut(t *testing.T, h *engine.Hub) {
	t.Helper()
	before := requireSums(t, h)
	for range 200 {
		require.NoError(t, h.Push([]string{"u"}, message("x")))
		require.NoError(t, h.Push(nil, &wire.Event{Topic: "t", Data: "x"}, message("x")))
	}
	st := requireSums(t, h)
	require.EqualValues(t, 600, st.NoReceiver-before.NoReceiver)
	require.EqualValues(t, 600, st.Pushed-before.Pushed)
}

// A connection that the log cannot be read for is told so after what was read
// before, and meanwhile keeps nothing of that, kept for conflation or not.
func TestHistoryThatCannotBeReadIsTold(t *testing.T) {
	for _, conflate := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			log := newFakeLog()
			log.onRead = func(n int) error { // it can be read once
				if n > 1 {
					return errDisk
				}
				return nil
			}
			h := newHub(t, engine.WithLog(log), engine.WithEnableResendEvents(), engine.WithChanBufferSize(16),
				engine.WithLogger(new(logBuffer).logger()))
			ids := pushN(t, h, 300)
			s := newSink(-1)
			s.onSend = func(p []byte) {
				if bytes.HasPrefix(p, []byte("event: disconnect\n")) {
					s.room = 20 // the reason is cut
				}
			}
			s.mu.Lock()
			var err error
			s.sub, err = h.Subscribe(engine.Subscription{UID: "u", LastEventID: wire.FormatID(ids[10]), Conflate: conflate}, s)
			s.mu.Unlock()
			require.NoError(t, err)
			pause := time.Second
			for engine.StateOf(h, s.sub) != "leaving" {
				time.Sleep(pause)
				require.Less(t, pause, time.Minute)
				pause += time.Second
			}
			require.LessOrEqual(t, engine.Footprint(h, s.sub), 100)
			requireSums(t, h)
			s.onSend = nil
			s.allow(-1)
			require.Equal(t, engine.ErrHistory, s.awaitClosed())
			require.Equal(t, "history", reasonTold(t, s))
			if got := s.ids(t); conflate {
				require.Empty(t, got, "given up: the client resumes before it")
			} else {
				require.Equal(t, ids[11:11+len(got)], got)
				require.NotEmpty(t, got)
			}
			require.Equal(t, engine.Ends{History: 1}, requireSums(t, h).Ends)
		})
	}
}

// A hub that closes tells every connection, once it has what was pushed; one
// that reads the log is told after the frame under way, and resumes elsewhere.
func TestCloseIsToldToEveryConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, engine.WithChanBufferSize(64), engine.WithLog(persist.NewMemory()), engine.WithDrainTimeout(5*time.Second))
		live := join(t, h, engine.Subscription{}, -1)
		slow := join(t, h, engine.Subscription{}, 10)
		behind := join(t, h, engine.Subscription{}, 10)
		never := join(t, h, engine.Subscription{StallTimeout: -1}, 10)
		push1(t, h, 0, 10)
		slow.allow(300)
		push1(t, h, 10, 20)
		require.Equal(t, "behind", engine.StateOf(h, behind.sub))
		require.Equal(t, "lagging", engine.StateOf(h, slow.sub))
		done := make(chan struct{})
		go func() { h.Close(); close(done) }()
		require.Equal(t, engine.ErrClosed, live.awaitClosed())
		require.Equal(t, numbers(0, 20), live.data(t))
		require.Equal(t, "closed", reasonTold(t, live))
		behind.allow(-1)
		require.Equal(t, engine.ErrClosed, behind.awaitClosed())
		require.Equal(t, numbers(0, 1), behind.data(t), "the frame under way")
		require.Equal(t, "closed", reasonTold(t, behind))
		slow.allow(-1)
		require.Equal(t, engine.ErrClosed, slow.awaitClosed())
		require.Equal(t, numbers(0, 20), slow.data(t), "flushed")
		require.Equal(t, "closed", reasonTold(t, slow))
		start := time.Now()
		<-done
		require.ErrorIs(t, never.awaitClosed(), engine.ErrClosed)
		require.LessOrEqual(t, time.Since(start), 5500*time.Millisecond, "the drain does not wait any longer")
		require.Equal(t, 10, len(never.buf))
		st := h.Stats()
		require.Equal(t, engine.Ends{Closed: 4}, st.Ends)
		require.Zero(t, st.Pending)
		require.EqualValues(t, 20+20+1, st.Delivered)
	})
}

// A connection that reads the log may be amid an event that is not counted as
// pushed to it yet. It is, from when the rest of it is all that is left to send.
func TestTheFrameUnderWayFromTheLogIsCountedOnce(t *testing.T) {
	for _, takes := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			told := newFailures()
			h := newHub(t, told.option(), engine.WithChanBufferSize(64), engine.WithLog(persist.NewMemory()))
			s := join(t, h, engine.Subscription{UID: "u"}, 10)
			push1(t, h, 0, 100)
			require.Equal(t, "behind", engine.StateOf(h, s.sub))
			s.allow(2000) // beyond what it was to get when it fell behind
			st := requireSums(t, h)
			require.Equal(t, "behind", engine.StateOf(h, s.sub))
			require.Greater(t, st.Delivered, uint64(30))
			require.Zero(t, st.Pending, "not counted: it may still be lost")
			require.False(t, bytes.HasSuffix(s.buf, []byte("\n\n")), "amid a frame")
			go h.Close()
			synctest.Wait()
			require.Equal(t, "leaving", engine.StateOf(h, s.sub))
			require.NoError(t, engine.Audit(h))
			require.EqualValues(t, 1, h.Stats().Pending)
			if takes {
				s.allow(-1)
			}
			h.Close()
			require.ErrorIs(t, s.awaitClosed(), engine.ErrClosed)
			got := h.Stats()
			require.EqualValues(t, len(s.data(t)), got.Delivered)
			require.Equal(t, st.Pushed+1, got.Pushed)
			require.Equal(t, takes, got.Delivered == st.Delivered+1)
			require.Equal(t, takes, got.Failed == 0)
			require.Zero(t, got.Pending)
		})
	}
}

// At the drain's deadline a connection that is about to leave is closed too.
func TestCloseDoesNotWaitForConnectionsThatLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, engine.WithChanBufferSize(64), engine.WithPolicy(engine.PolicyDisconnect))
		s := join(t, h, engine.Subscription{}, 10)
		push1(t, h, 0, 20)
		require.Equal(t, "leaving", engine.StateOf(h, s.sub))
		start := time.Now()
		h.Close()
		require.Less(t, time.Since(start), time.Second, "the drain time-out is 50 ms")
		require.ErrorIs(t, s.awaitClosed(), engine.ErrOverflow)
		require.Equal(t, engine.Ends{Overflow: 1}, h.Stats().Ends)
		require.Equal(t, 10, bytes.IndexByte(append(s.buf, 0), 0))
	})
}

// No other reason is told: the peer is gone, or takes no bytes.
func TestStallIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, engine.WithChanBufferSize(64))
		s := join(t, h, engine.Subscription{StallTimeout: time.Second}, 10)
		push1(t, h, 0, 3)
		offered := 0
		s.onSend = func([]byte) { offered++ }
		time.Sleep(2 * time.Second)
		require.Equal(t, engine.ErrStalled, s.awaitClosed())
		require.Zero(t, offered)
		require.Len(t, s.buf, 10)
	})
}

// A connection that began live and got nothing learns where it stands when it is
// told to go, and misses nothing when it comes back; one that lagged resumes after
// what it got.
func TestToldToGoWithAPosition(t *testing.T) {
	log := keptLog()
	opts := []engine.HubOption{engine.WithLog(log), engine.WithEnableResendEvents()}
	h := newHub(t, opts...)
	first := pushN(t, h, 3)[2]
	quiet := join(t, h, engine.Subscription{Topics: []string{"t"}}, -1)
	since := join(t, h, engine.Subscription{Topics: []string{"t"}, Since: time.Now().Add(time.Minute)}, -1)
	ids, err := h.Publish(context.Background(), nil, &wire.Event{Data: "of another topic", Topic: "u"}, &wire.Event{Data: "fleeting", Topic: "u", Ephemeral: true})
	require.NoError(t, err)
	behind := join(t, h, engine.Subscription{StallTimeout: -1}, 0)
	require.NoError(t, h.Push(nil, &wire.Event{Data: "never taken", Topic: "u"}))
	settled(h)
	h.Close()
	require.ErrorIs(t, quiet.awaitClosed(), engine.ErrClosed)
	events := quiet.events(t)
	require.Len(t, events, 1)
	require.Equal(t, engine.DisconnectEvent, events[0].Event)
	last, err := wire.ParseID(events[0].ID)
	require.NoError(t, err)
	require.Greater(t, last, ids[0])
	require.Greater(t, last, first)
	require.Error(t, behind.awaitClosed())
	require.ErrorIs(t, since.awaitClosed(), engine.ErrClosed)
	require.Equal(t, events, since.events(t), "who asked for a time has no ID either")

	again := newHub(t, opts...)
	missed := pushN(t, again, 2)
	s := join(t, again, engine.Subscription{LastEventID: events[0].ID}, -1)
	settled(again)
	require.Equal(t, missed, s.ids(t))
	require.Zero(t, s.gaps(t))
}

// Who was told to go by a hub that never had an event is told an ID that the next
// hub knows, and misses nothing.
func TestToldToGoByAHubWithoutEvents(t *testing.T) {
	opts := []engine.HubOption{engine.WithLog(keptLog()), engine.WithEnableResendEvents()}
	before := newHub(t, opts...)
	pushN(t, before, 3)
	before.Close()

	h := newHub(t, opts...)
	quiet := join(t, h, engine.Subscription{}, -1)
	settled(h)
	h.Close()
	require.ErrorIs(t, quiet.awaitClosed(), engine.ErrClosed)
	events := quiet.events(t)
	require.Len(t, events, 1)

	again := newHub(t, opts...)
	missed := pushN(t, again, 2)
	s := join(t, again, engine.Subscription{LastEventID: events[0].ID}, -1)
	settled(again)
	require.Equal(t, missed, s.ids(t))
	require.Zero(t, s.gaps(t))
}
