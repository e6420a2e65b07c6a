package engine_test

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// pushN pushes n events for everyone, numbered from 0, and returns their IDs.
func pushN(t testing.TB, h *engine.Hub, n int) []uint64 {
	t.Helper()
	var ids []uint64
	for i := range n {
		got, err := h.Publish(context.Background(), nil, number(i))
		require.NoError(t, err)
		ids = append(ids, got...)
	}
	return ids
}

// pushMarked pushes an event of its own for everyone, waits until s has it, and
// returns its data.
func pushMarked(t testing.TB, h *engine.Hub, s *memSink) string {
	t.Helper()
	mark := fmt.Sprintf("mark after %d.", h.LastID())
	require.NoError(t, h.Push(nil, message(mark)))
	s.awaitText(mark)
	return mark
}

// histories are what a resume may be served from.
var histories = []struct {
	name string
	opts func() []engine.HubOption
}{
	{"ring", func() []engine.HubOption { return nil }},
	{"log", func() []engine.HubOption { return []engine.HubOption{engine.WithLog(persist.NewMemory())} }},
}

// Invariant 3: an ID that was never issued here, whatever it looks like, gets
// exactly one gap event, first, and then the live events.
func TestIDNeverIssuedGetsOneGapThenLive(t *testing.T) {
	for _, history := range histories {
		t.Run(history.name, func(t *testing.T) {
			h := newHub(t, append(history.opts(), engine.WithEnableResendEvents(), engine.WithChanBufferSize(64))...)
			ids := pushN(t, h, 200) // the ring holds some of them
			last := ids[len(ids)-1]
			for _, id := range []string{
				"garbage", "-1", "01", "1.5", "12e3", " 7", "99999999999999999999999", "1", "42",
				"\xff\xfe", "é", strings.Repeat("9", 5000), "\"},{", "\n\nevent: x", "a\rb\x00c",
				strconv.FormatUint(last+1000, 10),
				strconv.FormatUint(math.MaxUint64, 10), strconv.FormatUint(math.MaxUint64-1, 10),
				strconv.FormatUint(1<<63, 10), strconv.FormatUint(last+1<<63, 10), strconv.FormatUint(last+1<<63-1, 10),
			} {
				can, err := canResume(h, id, nil)
				require.NoError(t, err)
				require.False(t, can, "%q", id)

				s := join(t, h, engine.Subscription{LastEventID: id}, -1)
				s.awaitText("event: gap\n") // the gap does not wait for an event
				live := pushMarked(t, h, s)
				events := s.events(t)
				require.Equal(t, engine.GapEvent, events[0].Event, "%q", id)
				require.Equal(t, 1, s.gaps(t), "%q: one gap", id)
				require.Equal(t, live, events[len(events)-1].Data)
				requireNoIDLine(t, s)
				// What follows the gap is all there is after where it ends.
				g := gapData(t, events[0])
				to, err := wire.ParseID(g.To)
				require.NoError(t, err)
				for i, got := range s.ids(t) {
					require.Equal(t, to+1+uint64(i), got, "%q", id)
				}
				require.Equal(t, h.LastID(), s.ids(t)[len(s.ids(t))-1])
				if len(id) <= 64 && strings.ToValidUTF8(id, "") == id {
					require.Equal(t, id, g.From, "from is what the client sent")
				} else {
					require.LessOrEqual(t, len(g.From), 3*64)
					require.Equal(t, len(id) > 64, strings.HasSuffix(g.From, "..."), "what was cut says so")
				}
				s.sub.Hangup(nil)
				s.awaitClosed()
			}
			require.NotZero(t, h.Stats().Gaps)
			requireSums(t, h)
		})
	}
}

// requireNoIDLine requires that the gap events of the stream move no position.
func requireNoIDLine(t testing.TB, s *memSink) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, frame := range strings.Split(string(s.buf), "\n\n") {
		if strings.Contains(frame, "event: gap\n") {
			require.True(t, strings.HasPrefix(frame, "event: gap\ndata: {\"from\":"), "%q", frame)
		}
	}
}

// A position told by the hub resumes without a gap, from wherever it lies.
func TestPositionsResumeWithoutGap(t *testing.T) {
	for _, history := range histories {
		t.Run(history.name, func(t *testing.T) {
			h := newHub(t, append(history.opts(), engine.WithEnableResendEvents(), engine.WithChanBufferSize(64))...)
			start := h.LastID()
			check := func(from uint64, want []uint64) {
				can, err := canResume(h, wire.FormatID(from), nil)
				require.NoError(t, err)
				s := join(t, h, engine.Subscription{LastEventID: wire.FormatID(from)}, -1)
				pushMarked(t, h, s)
				require.Equal(t, can, s.gaps(t) == 0, "a seat tells what the connection gets (from %d)", from-start)
				if want != nil {
					require.True(t, can)
					require.Equal(t, append(append([]uint64{}, want...), h.LastID()), s.ids(t))
				}
				s.sub.Hangup(nil)
				s.awaitClosed()
			}
			check(start, []uint64{})
			ids := pushN(t, h, 20)
			settled(h)
			for i := range ids {
				if h.LastID() != ids[len(ids)-1] { // check pushed an event
					ids = append(ids, h.LastID())
				}
				check(ids[i], ids[i+1:])
			}
			pushN(t, h, 200)
			settled(h)
			// Now the first ones are before the window: with a log they are
			// resent, without one there is a gap, and a seat says so.
			for _, id := range ids {
				check(id, nil)
			}
			requireSums(t, h)
		})
	}
}

// Invariant 3: a gap names exactly what retention has removed.
func TestRetentionPassedGetsGapUpToTheFloor(t *testing.T) {
	log := persist.NewMemory(persist.WithRetention(persist.Retention{MaxCount: 50}))
	h := newHub(t, engine.WithLog(log), engine.WithEnableResendEvents(), engine.WithChanBufferSize(16))
	ids := pushN(t, h, 200)
	settled(h)
	first := ids[150] // the oldest kept
	for _, from := range []int{0, 10, 148, 149, 150, 199} {
		id := wire.FormatID(ids[from])
		can, err := canResume(h, id, nil)
		require.NoError(t, err)
		s := join(t, h, engine.Subscription{LastEventID: id}, -1)
		settled(h)
		if from >= 149 { // everything after it is there
			require.True(t, can, from)
			require.Empty(t, gapsOf(t, s), from)
			require.Equal(t, ids[from+1:], append([]uint64{}, s.ids(t)...), from)
			continue
		}
		require.False(t, can, from)
		require.Equal(t, []gap{{ids[from], first - 1}}, gapsOf(t, s), from)
		require.Equal(t, engine.GapEvent, s.events(t)[0].Event)
		require.Equal(t, ids[150:], s.ids(t), from)
		requireNoIDLine(t, s)
	}
	requireSums(t, h)
}

// Retention by age removes what nobody pushes any more.
func TestRetentionByAgeGetsGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := persist.NewMemory(persist.WithRetention(persist.Retention{MaxAge: time.Minute}))
		h := newHub(t, engine.WithLog(log), engine.WithEnableResendEvents(), engine.WithChanBufferSize(16))
		ids := pushN(t, h, 100)
		time.Sleep(2 * time.Minute)
		s := join(t, h, engine.Subscription{LastEventID: wire.FormatID(ids[0])}, -1)
		synctest.Wait()
		can, err := canResume(h, wire.FormatID(ids[0]), nil)
		require.NoError(t, err)
		require.False(t, can)
		require.Len(t, gapsOf(t, s), 1)
		require.Equal(t, gap{ids[0], ids[99]}, gapsOf(t, s)[0])
		require.Empty(t, s.ids(t))
		more := pushN(t, h, 1)
		synctest.Wait()
		require.Equal(t, more, s.ids(t))
	})
}

// A topic's retention is a gap for those who follow it, and for nobody else.
func TestTopicRetentionIsAGapForItsFollowersOnly(t *testing.T) {
	log := persist.NewMemory(persist.WithRetention(persist.Retention{
		Topics: map[string]persist.Retention{"busy": {MaxCount: 5}},
	}))
	h := newHub(t, engine.WithLog(log), engine.WithEnableResendEvents(), engine.WithChanBufferSize(16))
	start := pushN(t, h, 1)[0]
	var calm, busy []uint64
	for i := range 100 {
		topic := []string{"busy", "calm"}[i%2]
		ids, err := h.Publish(context.Background(), nil, &wire.Event{Topic: topic, Data: "x"})
		require.NoError(t, err)
		if topic == "busy" {
			busy = append(busy, ids...)
		} else {
			calm = append(calm, ids...)
		}
	}
	id := wire.FormatID(start)
	follower := join(t, h, engine.Subscription{LastEventID: id, Topics: []string{"busy", "calm"}}, -1)
	other := join(t, h, engine.Subscription{LastEventID: id, Topics: []string{"calm"}}, -1)
	settled(h)
	require.Empty(t, gapsOf(t, other))
	require.Equal(t, calm, other.ids(t))
	floor := busy[len(busy)-6]
	require.Equal(t, []gap{{start, floor}}, gapsOf(t, follower))
	for _, id := range follower.ids(t) {
		require.Greater(t, id, floor)
	}
	for topic, want := range map[string]bool{"busy": false, "calm": true} {
		can, err := canResume(h, id, []string{topic})
		require.NoError(t, err)
		require.Equal(t, want, can, topic)
	}
}

// A wiped log: the hub starts anew, at later IDs than any that a client can
// hold (invariant 1), and tells those who come back.
func TestWipedLogGetsGap(t *testing.T) {
	old := engine.NewHub(engine.WithLog(persist.NewMemory()), engine.WithLogger(testLogger(t)))
	ids := pushN(t, old, 10)
	old.Close()

	h := newHub(t, engine.WithLog(persist.NewMemory()), engine.WithEnableResendEvents(), engine.WithChanBufferSize(16))
	require.Greater(t, h.LastID(), ids[9], "IDs increase over a wiped log")
	start := h.LastID()
	s := join(t, h, engine.Subscription{LastEventID: wire.FormatID(ids[5])}, -1)
	settled(h)
	require.Equal(t, []gap{{ids[5], start}}, gapsOf(t, s), "with an empty log")

	fresh := pushN(t, h, 100)
	s = join(t, h, engine.Subscription{LastEventID: wire.FormatID(ids[5])}, -1)
	settled(h)
	require.Equal(t, []gap{{ids[5], start}}, gapsOf(t, s), "with events since")
	require.Equal(t, fresh, s.ids(t))
	can, err := canResume(h, wire.FormatID(ids[5]), nil)
	require.NoError(t, err)
	require.False(t, can)
}

// Without resend, a Last-Event-ID other than the present gets a gap, also
// where the log has everything.
func TestResendDisabledGetsGap(t *testing.T) {
	for _, history := range histories {
		t.Run(history.name, func(t *testing.T) {
			h := newHub(t, history.opts()...)
			ids := pushN(t, h, 10)
			settled(h)
			s := join(t, h, engine.Subscription{LastEventID: wire.FormatID(ids[3])}, -1)
			upToDate := join(t, h, engine.Subscription{LastEventID: wire.FormatID(ids[9])}, -1)
			settled(h)
			more := pushN(t, h, 2)
			settled(h)
			require.Equal(t, []gap{{ids[3], ids[9]}}, gapsOf(t, s))
			require.Equal(t, more, s.ids(t))
			require.Empty(t, gapsOf(t, upToDate))
			require.Equal(t, more, upToDate.ids(t))
			for i, want := range map[int]bool{3: false, 9: false, 10: true} {
				id := append(ids, more...)[i+min(1, i/10)] // 10 stands for the last
				can, err := canResume(h, wire.FormatID(id), nil)
				require.NoError(t, err)
				require.Equal(t, want, can, i)
			}
		})
	}
}

// An ephemeral event takes no ID from those that have one, and no place in
// history: who has the ID before it misses nothing.
func TestEphemeralEventsTakeNoID(t *testing.T) {
	for _, history := range histories {
		t.Run(history.name, func(t *testing.T) {
			h := newHub(t, append(history.opts(), engine.WithEnableResendEvents(), engine.WithChanBufferSize(16))...)
			ids := pushN(t, h, 1)
			got, err := h.Publish(context.Background(), nil, &wire.Event{Data: "x", Ephemeral: true},
				message("between"), &wire.Event{Data: "x", Ephemeral: true})
			require.NoError(t, err)
			require.Equal(t, []uint64{0, ids[0] + 1, 0}, got)
			require.Equal(t, ids[0]+1, h.LastID())
			for range 100 {
				require.NoError(t, h.Push(nil, &wire.Event{Data: "x", Ephemeral: true}))
			}
			require.Equal(t, ids[0]+2, pushN(t, h, 1)[0])
			settled(h)
			require.Equal(t, uint64(105), h.Stats().Events)
			s := join(t, h, engine.Subscription{LastEventID: wire.FormatID(ids[0] + 1)}, -1)
			settled(h)
			require.Empty(t, gapsOf(t, s))
			require.Equal(t, []uint64{ids[0] + 2}, s.ids(t))
		})
	}
}
