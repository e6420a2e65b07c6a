package engine_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// seatOf decides where a connection begins.
func seatOf(t testing.TB, h *engine.Hub, sub engine.Subscription) *engine.Seat {
	t.Helper()
	seat, err := h.Seat(context.Background(), sub)
	require.NoError(t, err)
	return seat
}

// take takes a seat with a sink in memory.
func take(t testing.TB, seat *engine.Seat, room int) *memSink {
	t.Helper()
	s := newSink(room)
	s.mu.Lock() // the first write waits until sub is set
	defer s.mu.Unlock()
	var err error
	s.sub, err = seat.Take(s)
	require.NoError(t, err)
	return s
}

// Invariant 3: what is pushed after Seat arrives, wherever the connection begins,
// and however far its shard has come when it takes the seat; a gap ends at the
// seat.
func TestWhatIsPushedAfterSeatArrives(t *testing.T) {
	for _, history := range histories {
		for _, resend := range []bool{true, false} {
			for _, id := range []string{"", "old", "latest", "garbage", "0", engine.Earliest, "1",
				wire.FormatID(1 << 63), wire.FormatID(math.MaxUint64)} {
				t.Run(fmt.Sprintf("%s, resend %v, %q", history.name, resend, id), func(t *testing.T) {
					opts := history.opts()
					if resend {
						opts = append(opts, engine.WithEnableResendEvents())
					}
					h := newHub(t, append(opts, engine.WithShards(1))...)
					live := join(t, h, engine.Subscription{}, -1) // so that the shard moves
					ids := pushN(t, h, 10)
					settled(h)
					switch id {
					case "old":
						id = wire.FormatID(ids[3])
					case "latest":
						id = wire.FormatID(ids[9])
					}
					seat := seatOf(t, h, engine.Subscription{LastEventID: id})
					said, lost := seat.Gap()
					after := pushN(t, h, 20)
					settled(h)
					require.Equal(t, after[19], live.ids(t)[29], "the shard is ahead of the seat")
					s := take(t, seat, -1)
					settled(h)
					got := s.ids(t)
					require.GreaterOrEqual(t, len(got), 20)
					require.Equal(t, after, got[len(got)-20:])
					require.Equal(t, lost, s.gaps(t) == 1, "the seat says what the connection gets")
					if lost {
						require.Equal(t, said, gapData(t, s.events(t)[0]))
						to, err := wire.ParseID(said.To)
						require.NoError(t, err)
						require.LessOrEqual(t, to, ids[9], "the gap ends at the seat")
						require.Less(t, to, got[0])
					}
					requireSums(t, h)
				})
			}
		}
	}
}

// A connection that takes its seat when the window has moved on reads the log; it
// is told of a gap where there is none.
func TestSeatOutOfTheWindow(t *testing.T) {
	for _, history := range histories {
		t.Run(history.name, func(t *testing.T) {
			h := newHub(t, append(history.opts(), engine.WithChanBufferSize(16), engine.WithShards(1))...)
			before := pushN(t, h, 5)
			seat := seatOf(t, h, engine.Subscription{})
			require.Equal(t, before[4], seat.ID())
			ids := pushN(t, h, 200)
			settled(h)
			s := take(t, seat, -1)
			settled(h)
			if history.name == "log" {
				require.Equal(t, ids, s.ids(t))
				require.Zero(t, s.gaps(t))
				return
			}
			got := s.ids(t)
			require.Equal(t, ids[200-len(got):], got)
			require.Equal(t, []gap{{before[4], got[0] - 1}}, gapsOf(t, s))
		})
	}
}

// "0" and Earliest give all that is kept, and a gap only where something was
// removed.
func TestEarliestGivesAllThatIsKept(t *testing.T) {
	for _, history := range histories {
		for _, id := range []string{"0", engine.Earliest} {
			t.Run(history.name+" "+id, func(t *testing.T) {
				h := newHub(t, append(history.opts(), engine.WithEnableResendEvents(), engine.WithShards(1))...)
				s := join(t, h, engine.Subscription{LastEventID: id}, -1)
				ids := pushN(t, h, 30)
				settled(h)
				require.Equal(t, ids, s.ids(t), "of an empty history")
				seat := seatOf(t, h, engine.Subscription{LastEventID: id})
				_, lost := seat.Gap()
				require.False(t, lost)
				s = take(t, seat, -1)
				settled(h)
				require.Equal(t, ids, s.ids(t))
				require.Zero(t, s.gaps(t), "nothing was removed")
			})
		}
	}
	t.Run("retention", func(t *testing.T) {
		log := persist.NewMemory(persist.WithRetention(persist.Retention{MaxCount: 50}))
		h := newHub(t, engine.WithLog(log), engine.WithEnableResendEvents(), engine.WithChanBufferSize(16))
		ids := pushN(t, h, 200)
		settled(h)
		s := join(t, h, engine.Subscription{LastEventID: engine.Earliest}, -1)
		settled(h)
		require.Equal(t, []gap{{0, ids[149]}}, gapsOf(t, s))
		require.Equal(t, ids[150:], s.ids(t))
	})
	t.Run("window", func(t *testing.T) {
		h := newHub(t, engine.WithEnableResendEvents(), engine.WithChanBufferSize(16), engine.WithShards(1))
		ids := pushN(t, h, 200)
		settled(h)
		s := join(t, h, engine.Subscription{LastEventID: engine.Earliest}, -1)
		settled(h)
		require.Equal(t, []gap{{0, ids[191]}}, gapsOf(t, s))
		require.Equal(t, ids[192:], s.ids(t))
	})
}

// No gap where nothing is missing: directly before the first record, which a hub
// that has begun at it says as its position.
func TestDirectlyBeforeTheFirstRecordIsNoGap(t *testing.T) {
	log := keptLog()
	first := engine.NewHub(engine.WithLog(log), engine.WithLogger(testLogger(t)))
	start := first.LastID()
	ids := pushN(t, first, 20)
	first.Close()

	h := newHub(t, engine.WithLog(log), engine.WithEnableResendEvents())
	s := join(t, h, engine.Subscription{LastEventID: wire.FormatID(start)}, -1)
	settled(h)
	require.Zero(t, s.gaps(t))
	require.Equal(t, ids, s.ids(t))
	require.Zero(t, h.Stats().Gaps)

	s = join(t, h, engine.Subscription{LastEventID: wire.FormatID(start - 1)}, -1)
	settled(h)
	require.Equal(t, []gap{{start - 1, start}}, gapsOf(t, s), "but one before is an ID that was never issued")
	require.Equal(t, ids, s.ids(t))
}

// What was pushed at a time or later comes, also where the clock was set back after it.
func TestSinceWhereTheClockWasSetBack(t *testing.T) {
	log := persist.NewMemory()
	begin := time.Now().Add(-time.Hour)
	for i, minute := range []int{10, 40, 5, 6, 7, 8, 9, 50} {
		r, err := persist.RecordOf(&wire.Event{ID: wire.FormatID(uint64(i + 1)), Data: "x"}, begin.Add(time.Duration(minute)*time.Minute))
		require.NoError(t, err)
		require.NoError(t, log.Append(context.Background(), []persist.Record{r}))
	}
	h := newHub(t, engine.WithLog(log), engine.WithEnableResendEvents())
	s := join(t, h, engine.Subscription{Since: begin.Add(30 * time.Minute)}, -1)
	settled(h)
	require.Equal(t, []uint64{2, 3, 4, 5, 6, 7, 8}, s.ids(t))
	require.Zero(t, s.gaps(t))
}

// Since begins with the first record of a time, for any distance of the records.
func TestSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := persist.NewMemory(persist.WithRetention(persist.Retention{MaxCount: 60}))
		h := newHub(t, engine.WithLog(log), engine.WithEnableResendEvents(), engine.WithChanBufferSize(16))
		var ids []uint64
		var times []time.Time
		for i := range 60 {
			time.Sleep(time.Duration(i%7) * time.Second)
			times = append(times, time.Now())
			ids = append(ids, pushN(t, h, 1)...)
		}
		for i, at := range times {
			if i > 0 && times[i-1].Equal(at) {
				continue
			}
			for _, early := range []time.Duration{0, time.Millisecond} {
				s := join(t, h, engine.Subscription{Since: at.Add(-early)}, -1)
				synctest.Wait()
				require.Equal(t, ids[i:], s.ids(t), "from event %d", i)
				require.Zero(t, s.gaps(t), "nothing was removed")
				s.sub.Hangup(nil)
			}
		}
		s := join(t, h, engine.Subscription{Since: time.Now().Add(5 * time.Minute)}, -1) // by a clock that is ahead
		synctest.Wait()
		require.Empty(t, s.ids(t))
		more := pushN(t, h, 10) // takes the first ten
		synctest.Wait()
		require.Equal(t, more, s.ids(t), "live from now on")

		s = join(t, h, engine.Subscription{Since: times[3]}, -1)
		synctest.Wait()
		require.Equal(t, []gap{{0, ids[9]}}, gapsOf(t, s), "something of that time was removed")
		require.Equal(t, append(append([]uint64{}, ids[10:]...), more...), s.ids(t))
		s = join(t, h, engine.Subscription{Since: times[59]}, -1)
		synctest.Wait()
		require.Empty(t, gapsOf(t, s))
	})
}

// What cannot be is refused, with the name of the field.
func TestSeatRefuses(t *testing.T) {
	h := newHub(t, engine.WithEnableResendEvents())
	off := newHub(t, engine.WithLog(persist.NewMemory()))
	stored := newHub(t, engine.WithStore(&sliceStore{}), engine.WithEnableResendEvents())
	dated := newHub(t, engine.WithLog(persist.NewMemory()), engine.WithEnableResendEvents())
	pushN(t, stored, 1)
	for _, c := range []struct {
		hub   *engine.Hub
		sub   engine.Subscription
		field string
	}{
		{h, engine.Subscription{UID: "a\x00b"}, "uid"},
		{h, engine.Subscription{Topics: []string{"a", ""}}, "topics[1]"},
		{h, engine.Subscription{Topics: []string{"a", "b", "\xff"}}, "topics[2]"},
		{h, engine.Subscription{Since: time.Now()}, "since"},
		{off, engine.Subscription{Since: time.Now()}, "since"},
		{stored, engine.Subscription{Since: time.Unix(1, 0)}, "since"},
		{h, engine.Subscription{Since: time.Now(), LastEventID: "5"}, "since"},
		{dated, engine.Subscription{Since: time.Now().Add(10 * time.Minute)}, "since"},
	} {
		_, err := c.hub.Seat(context.Background(), c.sub)
		var wrong *wire.FieldError
		require.ErrorAs(t, err, &wrong, "%+v", c.sub)
		require.Equal(t, c.field, wrong.Field)
	}
	seat := seatOf(t, h, engine.Subscription{})
	h.Close()
	_, err := h.Seat(context.Background(), engine.Subscription{})
	require.ErrorIs(t, err, engine.ErrClosed)
	_, err = seat.Take(newSink(-1))
	require.ErrorIs(t, err, engine.ErrClosed, "a seat keeps no hub open")
}

// IDs compare as numbers: with IDs from 2^63 on, an old Last-Event-ID does not
// wait for a position that it takes for a later one.
func TestIDsBeyondHalfOfAllCompareAsNumbers(t *testing.T) {
	log := persist.NewMemory()
	const last = 1<<63 + 100
	require.NoError(t, log.Append(context.Background(), []persist.Record{{ID: last, Time: 1, Frame: []byte("id: 9223372036854775908\ndata: x\n\n")}}))
	h := newHub(t, engine.WithLog(log), engine.WithEnableResendEvents(), engine.WithChanBufferSize(16))
	ids := pushN(t, h, 50)
	require.Greater(t, ids[0], uint64(last))
	settled(h)
	ids = append([]uint64{last}, ids...)
	for _, from := range []uint64{5, 1 << 62, 1<<63 - 1, last, ids[10], ids[50]} {
		s := join(t, h, engine.Subscription{LastEventID: wire.FormatID(from)}, -1)
		settled(h)
		want := ids
		for len(want) > 0 && want[0] <= from {
			want = want[1:]
		}
		require.Equal(t, want, append([]uint64{}, s.ids(t)...), "after %d", from)
		require.Equal(t, from < last, s.gaps(t) == 1)
		mark := pushMarked(t, h, s)
		require.Contains(t, s.data(t), mark)
		ids = append(ids, h.LastID())
		s.sub.Hangup(nil)
		s.awaitClosed()
	}
}
