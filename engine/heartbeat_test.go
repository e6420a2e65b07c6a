package engine_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/stretchr/testify/require"
)

// pulse is a sink that notes when it was written to.
type pulse struct {
	*memSink
	at []time.Duration // since the start
}

func joinPulse(t testing.TB, h *engine.Hub, sub engine.Subscription, room int, start time.Time) *pulse {
	p := &pulse{memSink: newSink(room)}
	p.onSend = func([]byte) { p.at = append(p.at, time.Since(start)) }
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	p.form = sub.Form
	p.sub, err = h.Subscribe(sub, p.memSink)
	require.NoError(t, err)
	return p
}

// A heartbeat is a comment without an ID, sent to idle connections only, every
// 15 s, and spread over the interval.
func TestHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, engine.WithShards(2))
		start := time.Now()
		var idle []*pulse
		for range 400 {
			idle = append(idle, joinPulse(t, h, engine.Subscription{}, -1, start))
		}
		busy := joinPulse(t, h, engine.Subscription{UID: "busy"}, -1, start)
		synctest.Wait()
		for range 24 { // two minutes
			time.Sleep(5 * time.Second)
			require.NoError(t, h.Push([]string{"busy"}, message("x")))
		}
		synctest.Wait()
		perTick := map[time.Duration]int{}
		for _, s := range idle {
			s.mu.Lock()
			require.GreaterOrEqual(t, len(s.at), 7, "every 15 s or so")
			require.LessOrEqual(t, len(s.at), 16)
			for i, at := range s.at {
				perTick[at]++
				before := time.Duration(0)
				if i > 0 {
					before = s.at[i-1]
				}
				require.LessOrEqual(t, at-before, 15*time.Second, "no longer silence")
				require.GreaterOrEqual(t, at-before, 7*time.Second, "not more often than needed")
			}
			require.Equal(t, strings.Repeat(":\n", len(s.buf)/2), string(s.buf), "comments, without an ID or a blank line")
			s.mu.Unlock()
		}
		for at, n := range perTick {
			require.LessOrEqual(t, n, len(idle)/8, "spread over the interval (%v)", at)
		}
		require.Len(t, busy.at, 24, "none to a connection that is not idle")
		require.Len(t, busy.data(t), 24)
		st := settled(h)
		sent := 0
		for _, s := range idle {
			sent += len(s.at)
		}
		require.EqualValues(t, sent, st.Heartbeats)
		require.EqualValues(t, 24, st.Delivered, "a heartbeat is no delivery")
	})
}

// The interval can be set, and heartbeats turned off.
func TestHeartbeatSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		fast := joinPulse(t, newHub(t, engine.WithHeartbeat(time.Second)), engine.Subscription{}, -1, start)
		never := joinPulse(t, newHub(t, engine.WithHeartbeat(-1)), engine.Subscription{}, -1, start)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.InDelta(t, 60, len(fast.at), 2)
		require.Empty(t, never.at)
	})
}

// A heartbeat that the sink takes in part, or not at all, is completed before
// what follows, and offered once.
func TestHeartbeatIntoAFullSink(t *testing.T) {
	for room := range len("2\r\n:\n\r\n") {
		form, beat := engine.FormPlain, ":\n"
		if room >= len(beat) {
			form, beat = engine.FormChunked, "2\r\n:\n\r\n"
		}
		synctest.Test(t, func(t *testing.T) {
			h := newHub(t)
			s := joinPulse(t, h, engine.Subscription{UID: "u", Form: form}, room, time.Now())
			time.Sleep(50 * time.Second)
			synctest.Wait()
			require.Len(t, s.at, 1, "a sink that is full is left alone")
			require.NoError(t, h.Push(nil, message("hello")))
			s.allow(-1)
			synctest.Wait()
			require.Equal(t, beat, string(s.buf[:len(beat)]))
			require.Equal(t, []string{"hello"}, s.data(t))
			require.Equal(t, "live", engine.StateOf(h, s.sub))
			st := requireSums(t, h)
			require.EqualValues(t, 1, st.Heartbeats)
			require.EqualValues(t, 1, st.Delivered)
		})
	}
}

// A sink whose heartbeat failed is closed before the pass goes on to what waits
// in the ring: nothing is written to it, or counted as delivered, any more.
func TestFailedHeartbeatIsTheLastWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, engine.WithHeartbeat(time.Second), engine.WithShards(1))
		s := join(t, h, engine.Subscription{}, -1)
		s.mu.Lock()
		s.onSend = func(p []byte) {
			s.fail = errors.New("broken pipe")
			if err := h.Push(nil, message("behind the heartbeat")); err != nil {
				t.Error(err)
			}
		}
		s.mu.Unlock()
		s.awaitClosed()
		st := requireSums(t, h)
		require.Zero(t, st.Delivered)
		require.EqualValues(t, 1, st.NoReceiver)
	})
}
