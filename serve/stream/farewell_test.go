package stream_test

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// overflow pushes to a connection that is not read from until the hub gives it
// up, and returns the events' IDs. Each event waits until the shards have the one
// before: else a publisher faster than they are pushes more than the window holds, and
// who resumes is told of a gap. The hub has one shard: others, with nobody to tell, take
// their time.
func (s *site) overflow(pad string) (ids []string) {
	s.t.Helper()
	for begin := time.Now(); ; {
		require.Less(s.t, time.Since(begin), patience)
		switch stats := s.hub.Stats(); {
		case stats.Failed > 0:
			return ids
		case stats.RingUsed > 0:
			runtime.Gosched()
		default:
			ids = append(ids, s.push("", pad)...)
		}
	}
}

// A client whose socket is full when its queue overflows reads whole frames up
// to the one that was under way, then the reason, then an orderly end: through
// every kind of socket, and counted as delivered exactly as it was.
func TestOverflowIsToldThroughTheSocket(t *testing.T) {
	with := setup{
		hub:     []engine.HubOption{engine.WithPolicy(engine.PolicyDisconnect), engine.WithQueueBytes(100 << 10), engine.WithShards(1)},
		control: shrink,
	}
	each(t, with, func(t *testing.T, s *site) {
		st := s.open("")
		s.online(1)
		pad := noise(16 << 10)
		ids := s.overflow(pad)
		read := 0
		for {
			e := st.next()
			if e.Event == engine.DisconnectEvent {
				require.JSONEq(t, `{"reason":"overflow"}`, e.Data.(string))
				break
			}
			require.Equal(t, wire.Event{ID: ids[read], Event: "message", Data: pad}, e)
			read++
		}
		_, err := st.events.Next()
		require.ErrorIs(t, err, io.EOF)
		s.online(0)
		stats := s.hub.Stats()
		require.Equal(t, engine.Ends{Overflow: 1}, stats.Ends)
		require.EqualValues(t, read, stats.Delivered, "the frame under way included")
		require.Zero(t, stats.Pending)
		require.Equal(t, stats.Pushed, stats.Delivered+stats.Failed+stats.NoReceiver)

		next := s.open("", "Last-Event-ID", ids[read-1])
		require.Equal(t, ids[read], next.next().ID, "and resumes after the last event it got")
	})
}

// A portable stream whose peer takes nothing more ends in a bounded time after
// the queue overflowed, long before its own stall time-out: when it takes
// nothing, and when it takes so much that the reason is written, but not that.
func TestPortableStreamOfASlowPeerEndsInTime(t *testing.T) {
	for _, stall := range []time.Duration{time.Hour, -1} {
		for _, takes := range []int{0, 1} {
			synctest.Test(t, func(t *testing.T) {
				hub := newHub(t, engine.WithPolicy(engine.PolicyDisconnect))
				g := newGate()
				done, cancel := g.behind(hub, stream.WithStallTimeout(stall))
				defer cancel()
				require.Equal(t, greeting, g.take(t))
				synctest.Wait()
				data := strings.Repeat("x", 64<<10)
				for hub.Stats().Failed == 0 {
					require.NoError(t, hub.Push(nil, &wire.Event{Data: data}))
					synctest.Wait()
				}
				begin := time.Now()
				for range takes {
					g.take(t)
				}
				wait(t, done, "handler still runs")
				require.LessOrEqual(t, time.Since(begin), 5500*time.Millisecond)
				synctest.Wait()
				require.Equal(t, engine.Ends{Overflow: 1}, hub.Stats().Ends)
				require.False(t, g.late, "the ResponseWriter was used after the handler returned")
			})
		}
	}
}

// Closing the hub ends a portable stream in a bounded time whose peer takes
// nothing, also one that may stall for ever.
func TestCloseEndsAPortableStreamThatTakesNothing(t *testing.T) {
	for _, stall := range []time.Duration{time.Hour, -1} {
		synctest.Test(t, func(t *testing.T) {
			hub := newHub(t)
			g := newGate()
			done, cancel := g.behind(hub, stream.WithStallTimeout(stall))
			defer cancel()
			require.Equal(t, greeting, g.take(t))
			synctest.Wait()
			require.NoError(t, hub.Push(nil, &wire.Event{Data: "x"}))
			<-g.writes // and does not take it
			begin := time.Now()
			hub.Close()
			wait(t, done, "handler still runs after Close")
			require.LessOrEqual(t, time.Since(begin), 5500*time.Millisecond)
		})
	}
}

// What ends a portable stream is counted as that.
func TestPortableEndsAreCountedByReason(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(g *gate, cancel func())
		want engine.Ends
	}{
		"request over": {func(g *gate, cancel func()) { g.allow <- nil; cancel() }, engine.Ends{Hangup: 1}},
		"write fails":  {func(g *gate, _ func()) { g.allow <- errors.New("broken pipe") }, engine.Ends{Hangup: 1}},
		"write stalls": {func(*gate, func()) {}, engine.Ends{Stalled: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := newHub(t)
				g := newGate()
				done, cancel := g.behind(hub, stream.WithStallTimeout(10*time.Second))
				defer cancel()
				g.take(t)
				synctest.Wait()
				require.NoError(t, hub.Push(nil, &wire.Event{Data: "x"}))
				<-g.writes
				c.end(g, cancel)
				wait(t, done, "handler still runs")
				synctest.Wait()
				require.Equal(t, c.want, hub.Stats().Ends)
			})
		})
	}
}
