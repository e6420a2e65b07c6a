package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

func keyed(key, data string) *wire.Event {
	return &wire.Event{Event: "message", Data: data, Key: key}
}

// A connection that keeps up gets every event, whatever their keys.
func TestConflationLeavesLiveConnectionsAlone(t *testing.T) {
	for _, history := range histories {
		t.Run(history.name, func(t *testing.T) {
			h := newHub(t, history.opts()...)
			s := join(t, h, engine.Subscription{Conflate: true}, -1)
			var want []string
			for i := range 100 {
				want = append(want, fmt.Sprint(i))
				require.NoError(t, h.Push(nil, keyed("same", want[i]), keyed("same", want[i]+"'")))
				want[i] += "," + want[i] + "'"
			}
			settled(h)
			require.Equal(t, strings.Split(strings.Join(want, ","), ","), s.data(t))
			require.Zero(t, requireSums(t, h).Conflated)
		})
	}
}

// In the window: of what waits, the newest of each key and topic, everything
// without a key, by ID. Who did not ask for it gets all.
func TestConflationInTheWindow(t *testing.T) {
	h := newHub(t)
	sub := engine.Subscription{Conflate: true, Topics: []string{"t"}}
	s := join(t, h, sub, 0)
	sub.Conflate = false
	plain := join(t, h, sub, 0)
	for _, e := range []*wire.Event{
		keyed("a", "a1"), message("plain1"), keyed("b", "b1"), keyed("a", "a2"), message("plain2"),
		{Event: "message", Data: "ta1", Key: "a", Topic: "t"}, keyed("c", "c1"), keyed("a", "a3"),
		{Event: "message", Data: "ta2", Key: "a", Topic: "t"}, keyed("b", "b2"),
		{Event: "message", Data: "not for us", Key: "b", Topic: "other"},
	} {
		require.NoError(t, h.Push(nil, e))
	}
	requireSums(t, h)
	s.allow(-1)
	plain.allow(-1)
	st := requireSums(t, h)
	require.Equal(t, []string{"plain1", "plain2", "c1", "a3", "ta2", "b2"}, s.data(t))
	require.Len(t, plain.ids(t), 10)
	require.EqualValues(t, 4, st.Conflated)
	require.EqualValues(t, 16, st.Delivered)
	require.Zero(t, st.Pending)
	s.ids(t)
}

// From the log: the newest of each key, however long the connection was away;
// the window's events replace the log's.
func TestConflationFromTheLog(t *testing.T) {
	for _, how := range []string{"fell behind", "resumes"} {
		t.Run(how, func(t *testing.T) {
			h := newHub(t, engine.WithLog(persist.NewMemory()), engine.WithChanBufferSize(64), engine.WithEnableResendEvents())
			start := h.LastID()
			var s *memSink
			if how == "fell behind" {
				s = join(t, h, engine.Subscription{Conflate: true}, 0)
			}
			const rounds, keys = 300, 10
			plain := 0
			for i := range rounds {
				for k := range keys {
					require.NoError(t, h.Push(nil, keyed(fmt.Sprint("k", k), fmt.Sprintf("%d/%d", k, i))))
				}
				if i%50 == 0 {
					plain++
					require.NoError(t, h.Push(nil, message("plain")))
				}
			}
			requireSums(t, h)
			if s == nil {
				s = join(t, h, engine.Subscription{Conflate: true, LastEventID: wire.FormatID(start)}, -1)
			}
			s.allow(-1)
			st := requireSums(t, h)
			var values []string
			plains := 0
			for _, data := range s.data(t) {
				if data == "plain" {
					plains++
				} else {
					values = append(values, data)
				}
			}
			require.Equal(t, plain, plains, "events without a key are all kept")
			var want []string
			for k := range keys {
				want = append(want, fmt.Sprintf("%d/%d", k, rounds-1))
			}
			require.Equal(t, want, values, "the newest of each key, by ID")
			s.ids(t)
			require.Equal(t, "live", engine.StateOf(h, s.sub))
			if how == "fell behind" {
				require.EqualValues(t, rounds*keys+plain, st.Pushed)
				require.EqualValues(t, keys+plain, st.Delivered)
				require.EqualValues(t, (rounds-1)*keys, st.Conflated)
			} else {
				require.EqualValues(t, keys+plain, st.Resent)
				require.Zero(t, st.Conflated, "what is resent was not pushed to it")
				require.EqualValues(t, rounds*keys+plain, st.NoReceiver)
			}
		})
	}
}

// More keys than are kept go out in stages: still every value at least once is
// superseded only by a newer one, and memory is bounded.
func TestConflationOfManyKeysIsBounded(t *testing.T) {
	h := newHub(t, engine.WithLog(persist.NewMemory()), engine.WithChanBufferSize(64))
	s := join(t, h, engine.Subscription{Conflate: true, StallTimeout: -1}, 10)
	pad := strings.Repeat("x", 500)
	const keys, rounds = 2000, 3 // 1 MB of newest values
	for i := range rounds {
		for k := range keys {
			require.NoError(t, h.Push(nil, keyed(fmt.Sprint("k", k), fmt.Sprintf("%d/%d %s", k, i, pad))))
		}
	}
	most := 0
	for requireSums(t, h).Pending > 0 || engine.StateOf(h, s.sub) != "live" {
		most = max(most, engine.Footprint(h, s.sub))
		s.allow(50_000)
	}
	require.LessOrEqual(t, most, 1<<20, "kept events are bounded")
	last := map[string]string{}
	for _, data := range s.data(t) {
		k, i, _ := strings.Cut(strings.TrimSuffix(data, " "+pad), "/")
		require.Less(t, last[k], i, "values go forward")
		last[k] = i
	}
	require.Len(t, last, keys)
	for k, i := range last {
		require.Equal(t, "2", i, k)
	}
	s.ids(t)
}

// Invariants of conflation under random rooms, audiences and keys: IDs
// increase, everything without a key arrives once, of each key the newest
// arrives last, and at each rest the books are right.
func TestConflationRandomly(t *testing.T) {
	for _, history := range histories {
		t.Run(history.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed(t), 0))
			for range 6 {
				conflateRandomly(t, rng, append(history.opts(), engine.WithChanBufferSize(128),
					engine.WithShards(2), engine.WithPushTimeout(time.Hour, 1)))
			}
		})
	}
}

func conflateRandomly(t *testing.T, rng *rand.Rand, opts []engine.HubOption) {
	h := newHub(t, opts...)
	topics := []string{"", "a", "b"}
	type follower struct {
		*memSink
		topic string
		user  string
		plain []uint64
		last  map[string]uint64 // by topic and key
	}
	var all []*follower
	for i := range 6 {
		f := &follower{topic: topics[i%3], user: fmt.Sprint("u", i), last: map[string]uint64{}}
		sub := engine.Subscription{UID: f.user, Conflate: true}
		if f.topic != "" {
			sub.Topics = []string{f.topic}
		}
		f.memSink = join(t, h, sub, rng.IntN(500))
		all = append(all, f)
	}
	withLog := len(opts) > 3
	for step := range 1500 {
		e := &wire.Event{Event: "message", Data: strings.Repeat("x", rng.IntN(40)), Topic: topics[rng.IntN(3)]}
		if rng.IntN(5) > 0 {
			e.Key = fmt.Sprint("k", rng.IntN(6))
		}
		var uids []string
		if rng.IntN(3) == 0 {
			uids = []string{fmt.Sprint("u", rng.IntN(6))}
		}
		ids, err := h.Publish(context.Background(), uids, e)
		require.NoError(t, err)
		for _, f := range all {
			if e.Topic != "" && e.Topic != f.topic || uids != nil && uids[0] != f.user {
				continue
			}
			if e.Key == "" {
				f.plain = append(f.plain, ids[0])
			} else {
				f.last[e.Topic+"/"+e.Key] = ids[0]
			}
		}
		// Without a log nobody may fall out of the window.
		if f := all[rng.IntN(len(all))]; rng.IntN(4) == 0 {
			f.allow(rng.IntN(300))
		}
		if !withLog && step%60 == 59 {
			for _, f := range all {
				f.allow(100_000)
			}
			requireSums(t, h)
			for _, f := range all {
				f.mu.Lock()
				f.room = rng.IntN(1000)
				f.mu.Unlock()
			}
		}
		if step%50 == 0 {
			requireSums(t, h)
		}
	}
	for _, f := range all {
		f.allow(-1)
	}
	st := requireSums(t, h)
	require.Greater(t, st.Conflated, uint64(50))
	require.Zero(t, st.Pending+st.Dropped+st.TimedOut+st.Failed)
	for _, f := range all {
		require.Zero(t, f.gaps(t))
		got := map[uint64]bool{}
		for _, id := range f.ids(t) {
			got[id] = true
		}
		for _, id := range f.plain {
			require.True(t, got[id], "event %d has no key and is missing", id)
		}
		for key, id := range f.last {
			require.True(t, got[id], "the newest event of %s, %d, is missing", key, id)
		}
		require.Equal(t, "live", engine.StateOf(h, f.sub))
	}
}
