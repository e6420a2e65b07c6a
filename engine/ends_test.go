package engine_test

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// endsSum is how many connections have ended.
func endsSum(st engine.Stats) uint64 {
	e := st.Ends
	return e.Hangup + e.Overflow + e.Stalled + e.WriteError + e.History + e.Closed + e.Expired + e.Revoked + e.Reconnect
}

// Each connection's end is counted once, by what ended it.
func TestEndsAreCountedByReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newFakeLog()
		unreadable := log.refuseReads()
		h := newHub(t, engine.WithLog(log), engine.WithEnableResendEvents(), engine.WithChanBufferSize(64),
			engine.WithLogger(new(logBuffer).logger()))
		ids := pushN(t, h, 100)
		want := engine.Ends{}
		check := func(s *memSink, reason error) {
			t.Helper()
			synctest.Wait()
			require.ErrorIs(t, s.awaitClosed(), reason)
			require.Equal(t, want, requireSums(t, h).Ends)
		}

		s := join(t, h, engine.Subscription{}, -1)
		s.sub.Hangup(nil)
		s.sub.Hangup(nil)
		want.Hangup++
		check(s, engine.ErrHangup)

		s = join(t, h, engine.Subscription{}, -1)
		s.sub.Hangup(io.EOF) // a transport's own word for it
		want.Hangup++
		check(s, io.EOF)

		s = join(t, h, engine.Subscription{}, -1)
		s.sub.Hangup(engine.ErrStalled) // a transport that has a time-out of its own
		want.Stalled++
		check(s, engine.ErrStalled)

		broken := errors.New("broken pipe")
		s = join(t, h, engine.Subscription{}, -1)
		synctest.Wait()
		s.failWith(broken)
		push1(t, h, 0, 1)
		want.WriteError++
		check(s, broken)

		s = join(t, h, engine.Subscription{StallTimeout: time.Second}, 0)
		push1(t, h, 1, 2)
		time.Sleep(2 * time.Second)
		want.Stalled++
		check(s, engine.ErrStalled)

		s = join(t, h, engine.Subscription{Policy: engine.PolicyDisconnect}, 0)
		push1(t, h, 2, 40)
		s.allow(-1)
		want.Overflow++
		check(s, engine.ErrOverflow)

		unreadable.Store(true)
		s = join(t, h, engine.Subscription{LastEventID: wire.FormatID(ids[10])}, -1)
		time.Sleep(time.Minute)
		want.History++
		check(s, engine.ErrHistory)

		s = join(t, h, engine.Subscription{}, -1)
		stays := join(t, h, engine.Subscription{StallTimeout: -1}, 0)
		push1(t, h, 40, 41)
		h.Close()
		require.ErrorIs(t, s.awaitClosed(), engine.ErrClosed)
		require.ErrorIs(t, stays.awaitClosed(), engine.ErrClosed)
		want.Closed += 2
		require.Equal(t, want, h.Stats().Ends)
	})
}

// What becomes of a connection that has been told why it ends does not change
// what it is counted as.
func TestALeavingConnectionCountsAsItsReason(t *testing.T) {
	broken := errors.New("broken pipe")
	for name, after := range map[string]struct {
		do   func(s *memSink)
		also error // what the sink learns besides
	}{
		"hangs up":       {func(s *memSink) { s.sub.Hangup(nil) }, engine.ErrHangup},
		"breaks":         {func(s *memSink) { s.failWith(broken); s.sub.Writable() }, broken},
		"takes nothing":  {func(s *memSink) { time.Sleep(10 * time.Second) }, engine.ErrStalled},
		"takes it":       {func(s *memSink) { s.allow(-1) }, engine.ErrOverflow},
		"takes it twice": {func(s *memSink) { s.allow(20); s.allow(-1); s.sub.Writable(); s.sub.Hangup(nil) }, engine.ErrOverflow},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t, engine.WithChanBufferSize(64), engine.WithPolicy(engine.PolicyDisconnect))
				s := join(t, h, engine.Subscription{UID: "u"}, 10)
				push1(t, h, 0, 40)
				require.Equal(t, "leaving", engine.StateOf(h, s.sub))
				after.do(s)
				synctest.Wait()
				require.ErrorIs(t, s.awaitClosed(), engine.ErrOverflow)
				require.ErrorIs(t, s.awaitClosed(), after.also)
				require.Equal(t, engine.Ends{Overflow: 1}, requireSums(t, h).Ends)
				require.Equal(t, 1, s.closed)
			})
		})
	}
}

// lastCall calls fn when its connection ends.
type lastCall struct {
	*memSink
	fn func()
}

func (s lastCall) Close(reason error) {
	s.fn()
	s.memSink.Close(reason)
}

// Who finds a connection gone finds its end counted, at any moment: also within the pass
// that ends it.
func TestAConnectionIsGoneOnceItsEndIsCounted(t *testing.T) {
	const conns = 3
	h := newHub(t, engine.WithShards(1))
	var subs []engine.Subscriber
	seen := 0
	for range conns {
		sub, err := h.Subscribe(engine.Subscription{}, lastCall{newSink(-1), func() {
			seen++
			online, ends := h.OnlineClientsNum(), h.Stats().Ends.Hangup // in this order
			assert.EqualValues(t, conns-online, ends)
		}})
		require.NoError(t, err)
		subs = append(subs, sub)
	}
	settled(h)
	engine.Inside(h, func() { // so that one pass ends them all
		for _, sub := range subs {
			sub.Hangup(nil)
		}
	})
	require.Eventually(t, func() bool { return h.OnlineClientsNum() == 0 }, time.Minute, time.Millisecond)
	require.EqualValues(t, conns, h.Stats().Ends.Hangup)
	require.Equal(t, conns, seen)
}
