package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/compress"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
)

// patientHub is a hub of one shard that lets events wait for a second, and has a failure
// callback.
func patientHub(t *testing.T, opts ...engine.HubOption) (*engine.Hub, *failures) {
	told := newFailures()
	return newHub(t, append([]engine.HubOption{engine.WithPatience(time.Second), engine.WithShards(1),
		engine.WithChanBufferSize(4096), engine.WithHeartbeat(-1), told.option()}, opts...)...), told
}

// pushNumbers pushes events with these numbers to all, one after the other.
func pushNumbers(t *testing.T, h *engine.Hub, from, to int) (want []string) {
	for i := from; i <= to; i++ {
		require.NoError(t, h.Push(nil, number(i)))
		synctest.Wait()
		want = append(want, fmt.Sprint(i))
	}
	return want
}

// Patient connections get what came within the wait in one write, in order, and others
// each event at once; nothing waits longer, and one that is alone waits no longer either.
func TestPatientConnectionsShareWrites(t *testing.T) {
	for _, history := range histories {
		for n := range 6 {
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t, append(history.opts(), withCodings(), engine.WithPatience(10*time.Millisecond), engine.WithHeartbeat(-1))...)
				sub := engine.Subscription{Topics: []string{"a"}, Patient: true}
				anyForm(&sub, n)
				patient, prompt := join(t, h, sub, -1), join(t, h, engine.Subscription{Topics: []string{"a"}}, -1)
				synctest.Wait()
				writes, all := 0, 0
				patient.countWrites(&writes)
				prompt.countWrites(&all)
				for i := range 100 {
					require.NoError(t, h.Push(nil, &wire.Event{Event: "message", Data: fmt.Sprint(i), Topic: []string{"", "a", "b"}[i%3]}))
					synctest.Wait()
					require.Equal(t, i+1-(i+1)/3, len(prompt.data(t)), "each at once")
					time.Sleep(time.Millisecond)
					synctest.Wait()
					require.GreaterOrEqual(t, len(patient.data(t)), (i-10)*2/3, "none waits longer")
				}
				time.Sleep(10 * time.Millisecond)
				synctest.Wait()
				require.Equal(t, prompt.data(t), patient.data(t))
				require.Equal(t, prompt.ids(t), patient.ids(t))
				require.Equal(t, 67, all)
				require.LessOrEqual(t, writes, 11)
				begin := time.Now()
				require.NoError(t, h.Push(nil, message("alone")))
				patient.awaitText("alone")
				require.LessOrEqual(t, time.Since(begin), 10*time.Millisecond)
				requireSums(t, h)
			})
		}
	}
}

// On a hub that has no patience, nobody is patient.
func TestNobodyIsPatientUnlessTheHubIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		s := join(t, h, engine.Subscription{Patient: true}, -1)
		require.Equal(t, pushNumbers(t, h, 1, 3), s.data(t))
	})
}

// An event to users and an urgent one go at once, to all; what waited goes before them,
// to those that it is for.
func TestPrivateAndUrgentEventsWaitForNobody(t *testing.T) {
	for _, history := range histories {
		synctest.Test(t, func(t *testing.T) {
			h, _ := patientHub(t, append(history.opts(), engine.WithMarkBudget(1),
				engine.WithLinger(0, func(_ bool, topic string) bool { return topic == "alarm" }))...)
			s := join(t, h, engine.Subscription{UID: "u", Topics: []string{"alarm"}, Patient: true}, -1)
			other := join(t, h, engine.Subscription{UID: "v", Patient: true}, -1)
			want := pushNumbers(t, h, 1, 2)
			require.Empty(t, s.data(t))
			require.NoError(t, h.Push([]string{"u"}, message("private")))
			synctest.Wait()
			require.Equal(t, append(want, "private"), s.data(t))
			require.Equal(t, want, other.data(t))
			pushNumbers(t, h, 3, 3)
			require.Equal(t, want, other.data(t), "what comes later waits")
			require.NoError(t, h.Push(nil, &wire.Event{Event: "message", Topic: "alarm", Data: "urgent"}))
			synctest.Wait()
			require.Equal(t, append(want, "private", "3", "urgent"), s.data(t))
			pushNumbers(t, h, 4, 4)
			require.NoError(t, h.Push([]string{"a", "u", "v", "w"}, message("several"))) // marked in several passes
			synctest.Wait()
			require.Equal(t, append(want, "private", "3", "urgent", "4", "several"), s.data(t))
			require.Equal(t, append(want, "3", "4", "several"), other.data(t))
			requireSums(t, h)
		})
	}
}

// The hub's end, and ends of connections that are told, give them what they wait for; no
// clock moves.
func TestEndsDoNotWaitForPatience(t *testing.T) {
	ends := []struct {
		name string
		do   func(h *engine.Hub, s *memSink) error
	}{
		{"close", func(h *engine.Hub, _ *memSink) error { return h.Shutdown(context.Background()) }},
		{"drain", func(h *engine.Hub, _ *memSink) error {
			_, err := h.Drain(context.Background(), engine.Drain{})
			return err
		}},
		{"dismiss", func(h *engine.Hub, _ *memSink) error { h.Dismiss(engine.ErrClosed); return nil }},
		{"disconnect", func(h *engine.Hub, _ *memSink) error {
			_, err := h.Disconnect(context.Background(), engine.Disconnection{UID: "u"})
			return err
		}},
		{"expire", func(_ *engine.Hub, s *memSink) error { s.sub.Expire(); return nil }},
	}
	for _, end := range ends {
		for coding, shape := range map[string]struct{ events, size int }{"": {70, 1}, "gzip": {80, 3 << 10}} { // of these, more than a turn codes
			t.Run(end.name+" "+coding, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h, told := patientHub(t, withCodings())
					begin := time.Now()
					s := join(t, h, engine.Subscription{UID: "u", Patient: true, Encoding: coding}, -1)
					synctest.Wait()
					var want []string
					for i := range shape.events {
						data := strings.Repeat(fmt.Sprint(i%10), shape.size)
						require.NoError(t, h.Push(nil, message(data)))
						want = append(want, data)
					}
					synctest.Wait()
					require.Empty(t, s.data(t))
					require.NoError(t, end.do(h, s))
					synctest.Wait()
					s.awaitClosed()
					require.Less(t, time.Since(begin), 500*time.Millisecond)
					require.Equal(t, want, s.data(t))
					events := s.events(t)
					require.Equal(t, engine.DisconnectEvent, events[len(events)-1].Event)
					require.Empty(t, told.await(0))
				})
			})
		}
	}
}

// A patient connection that has no room for all that waits for it is one that has something
// waiting: where connections end in turn, it has the time that those have.
func TestPatientConnectionsWithoutRoomGetTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, told := patientHub(t)
		s := join(t, h, engine.Subscription{UID: "u", Patient: true}, -1)
		synctest.Wait()
		want := pushNumbers(t, h, 1, 70)
		s.allowOnly(200)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, err := h.Drain(t.Context(), engine.Drain{Over: time.Second, Patience: 30 * time.Second})
			assert.NoError(t, err)
		}()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.Empty(t, told.await(0))
		s.allow(-1)
		<-ended
		s.awaitClosed()
		require.Equal(t, want, s.data(t))
		require.Empty(t, told.await(0))
	})
}

// Others do not wait while the patient get what waited, where an event waits for nobody or
// there is no room for it.
func TestOthersComeBeforeThePatient(t *testing.T) {
	for name, last := range map[string]*wire.Event{
		"urgent":  {Event: "message", Topic: "alarm", Data: "last"},
		"no room": {Event: "message", Data: strings.Repeat("x", 300<<10)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, _ := patientHub(t, engine.WithLinger(0, func(_ bool, topic string) bool { return topic == "alarm" }))
				sub := engine.Subscription{Topics: []string{"alarm"}, Patient: true}
				patient := join(t, h, sub, -1)
				sub.Patient = false
				prompt := join(t, h, sub, -1)
				synctest.Wait()
				want := append(pushNumbers(t, h, 1, 3), last.Data.(string))
				var order []*memSink
				for _, s := range []*memSink{patient, prompt} {
					s.mu.Lock()
					s.onSend = func([]byte) { order = append(order, s) }
					s.mu.Unlock()
				}
				require.NoError(t, h.Push(nil, last))
				synctest.Wait()
				require.Equal(t, want, prompt.data(t))
				require.Equal(t, want, patient.data(t))
				require.Same(t, prompt, order[0])
			})
		})
	}
}

// What concerns other shards takes no room from what waits.
func TestEventsOfOthersTakeNoPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := patientHub(t, engine.WithShards(2))
		s := join(t, h, engine.Subscription{UID: "u", Patient: true}, -1)
		other := "v"
		for engine.ShardOf(h, other) == engine.ShardOf(h, "u") {
			other += "v"
		}
		synctest.Wait()
		pushNumbers(t, h, 1, 1)
		for range 400 {
			require.NoError(t, h.Push([]string{other}, message("not yours")))
		}
		pushNumbers(t, h, 2, 2)
		require.Empty(t, s.data(t))
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, []string{"1", "2"}, s.data(t))
	})
}

// One that is patient and up to date has nothing waiting, where others are asked to come
// back in turn, or for their age.
func TestPatientConnectionsEndInTheirTurn(t *testing.T) {
	for name, end := range map[string]func(*engine.Hub){
		"drain": func(h *engine.Hub) {
			_, err := h.Drain(context.Background(), engine.Drain{Over: time.Second, Patience: time.Minute})
			require.NoError(t, err)
		},
		"age": func(*engine.Hub) { time.Sleep(11 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, _ := patientHub(t, engine.WithMaxConnectionAge(10*time.Second, 0, 0, 0))
				begin := time.Now()
				s := join(t, h, engine.Subscription{Patient: true}, -1)
				want := pushNumbers(t, h, 1, 3)
				end(h)
				s.awaitClosed()
				require.LessOrEqual(t, time.Since(begin), map[string]time.Duration{"drain": 2 * time.Second, "age": 12 * time.Second}[name])
				require.Equal(t, want, s.data(t))
			})
		})
	}
}

// counted is an encoding that counts the runs with the first number that it codes.
type counted struct {
	compress.Gzip
	runs atomic.Int64
}

func (c *counted) AppendRun(dst, run []byte) []byte {
	if bytes.Contains(run, []byte("data: 1\n")) {
		c.runs.Add(1)
	}
	return c.Gzip.AppendRun(dst, run)
}

// When the hub closes, all get what waits together: it is coded once.
func TestWhatWaitsGoesToAllTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		coding := new(counted)
		h, _ := patientHub(t, engine.WithEncodings(coding))
		var all []*memSink
		for range 20 {
			all = append(all, join(t, h, engine.Subscription{Patient: true, Encoding: "gzip"}, -1))
		}
		synctest.Wait()
		want := pushNumbers(t, h, 1, 5)
		require.Zero(t, coding.runs.Load())
		require.NoError(t, h.Shutdown(t.Context()))
		for _, s := range all {
			require.Equal(t, want, s.data(t))
		}
		require.EqualValues(t, 1, coding.runs.Load())
	})
}

// A connection that has got nothing is told, at its end, the ID up to which it has what is
// for it, whatever waited meanwhile; a list tells the same.
func TestPatientConnectionsAreToldTheirPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := patientHub(t)
		start := h.LastID()
		join(t, h, engine.Subscription{UID: "all", Patient: true}, -1)
		early := join(t, h, engine.Subscription{UID: "u", Topics: []string{"t"}, OnlyTopics: true, Patient: true}, -1)
		synctest.Wait()
		pushNumbers(t, h, 1, 3)
		late := join(t, h, engine.Subscription{UID: "v", Topics: []string{"t"}, OnlyTopics: true, Patient: true}, -1)
		synctest.Wait()
		list, _, err := h.Connections(t.Context(), engine.ConnectionFilter{}, "", 10)
		require.NoError(t, err)
		require.Len(t, list, 3)
		for _, c := range list {
			want := start // up to here it has everything: what waits is not looked at
			if c.UID == "v" {
				want = h.LastID()
			}
			require.Equal(t, want, c.LastID, c.UID)
			require.Equal(t, "live", c.State)
		}
		require.Equal(t, 3, engine.Waiting(h))
		for uid, s := range map[string]*memSink{"u": early, "v": late} {
			_, err := h.Disconnect(t.Context(), engine.Disconnection{UID: uid})
			require.NoError(t, err)
			events := s.events(t)
			require.Len(t, events, 1)
			require.Equal(t, engine.DisconnectEvent, events[0].Event)
			require.Equal(t, wire.FormatID(h.LastID()), events[0].ID)
		}
	})
}

// What waits for a connection that hangs up, or whose rights are taken back, has failed,
// and the callback is told of each event once.
func TestWhatWaitsForAPatientConnectionThatGoesHasFailed(t *testing.T) {
	for name, leave := range map[string]func(*memSink){
		"hang-up": func(s *memSink) { s.sub.Hangup(nil) },
		"revoked": func(s *memSink) { s.sub.Revoke() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, told := patientHub(t)
				start := h.LastID()
				stays := join(t, h, engine.Subscription{Patient: true}, -1)
				s := join(t, h, engine.Subscription{UID: "u", Patient: true}, -1)
				want := pushNumbers(t, h, 1, 5)
				require.EqualValues(t, 0, h.Stats().Pushed)
				leave(s)
				s.awaitClosed()
				synctest.Wait()
				require.Empty(t, s.data(t))
				if name == "revoked" {
					require.Equal(t, wire.FormatID(start), s.events(t)[0].ID, "it resumes before what it waited for")
				}
				require.Equal(t, want, told.data(t))
				require.EqualValues(t, 5, h.Stats().Failed)
				require.Empty(t, stays.data(t), "what others wait for is not let go")
				st := requireSums(t, h)
				require.Equal(t, []uint64{10, 5, 5}, []uint64{st.Pushed, st.Delivered, st.Failed})
				require.Equal(t, want, stays.data(t))
			})
		})
	}
}

// A sink that takes a part of what waited, or breaks on it, in the first of several
// fan-outs: the connection goes on where it was, or all of the rest has failed.
func TestPatientConnectionsThatStallOrBreak(t *testing.T) {
	for _, failing := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			h, told := patientHub(t)
			other := join(t, h, engine.Subscription{Topics: []string{"t"}, Patient: true}, -1)
			s := join(t, h, engine.Subscription{UID: "u", Topics: []string{"t"}, Patient: true}, 70)
			synctest.Wait()
			var want []string
			for i := range 200 { // of a topic: 64 in one fan-out
				require.NoError(t, h.Push(nil, &wire.Event{Event: "message", Topic: "t", Data: fmt.Sprint(i)}))
				synctest.Wait()
				want = append(want, fmt.Sprint(i))
			}
			if failing {
				s.failWith(errors.New("broken"))
			}
			require.Equal(t, 200, engine.Waiting(h))
			time.Sleep(time.Second)
			synctest.Wait()
			require.Zero(t, engine.Waiting(h))
			require.NoError(t, engine.Audit(h))
			require.Equal(t, want, other.data(t))
			if failing {
				require.Equal(t, want, told.data(t))
				st := requireSums(t, h)
				require.Equal(t, []uint64{400, 200, 200}, []uint64{st.Pushed, st.Delivered, st.Failed})
				return
			}
			require.EqualValues(t, 200-len(s.data(t)), h.Stats().Pending)
			more := pushNumbers(t, h, 1000, 1002)
			s.allow(-1)
			synctest.Wait()
			require.Equal(t, append(want, more...), s.data(t), "one that is late is not patient")
			require.Equal(t, want, other.data(t))
			more = append(more, pushNumbers(t, h, 1003, 1003)...)
			require.Equal(t, append(want, more...), s.data(t), "nor as long as others wait")
			time.Sleep(time.Second)
			synctest.Wait()
			pushNumbers(t, h, 1004, 1004)
			require.Equal(t, append(want, more...), s.data(t), "then it is")
			requireSums(t, h)
			require.Equal(t, append(append(want, more...), "1004"), s.data(t))
		})
	}
}

// A heartbeat that a sink does not take, or breaks on, loses nothing of what waits.
func TestHeartbeatOfAPatientConnection(t *testing.T) {
	for _, failing := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			h, told := patientHub(t, engine.WithHeartbeat(400*time.Millisecond))
			s := join(t, h, engine.Subscription{UID: "u", Patient: true}, 1)
			synctest.Wait()
			if failing {
				s.failWith(errors.New("broken"))
			}
			want := pushNumbers(t, h, 1, 3)
			time.Sleep(900 * time.Millisecond)
			synctest.Wait()
			require.Equal(t, 3, engine.Waiting(h))
			require.EqualValues(t, 1, h.Stats().Heartbeats)
			if failing {
				require.Equal(t, want, told.data(t))
				return
			}
			require.Equal(t, "lagging", engine.StateOf(h, s.sub))
			s.allow(-1)
			synctest.Wait()
			require.Equal(t, want, s.data(t))
			requireSums(t, h)
		})
	}
}

// What waits is bounded, in events and bytes, and where the ring holds too much nothing
// waits.
func TestPatienceIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := patientHub(t, engine.WithChanBufferSize(64), engine.WithQueueBytes(1<<10), engine.WithRingBytes(1<<20))
		s := join(t, h, engine.Subscription{Patient: true}, -1)
		for i := range 30 {
			want := pushNumbers(t, h, 10*i, 10*i+9)
			require.LessOrEqual(t, engine.Waiting(h), 8, "a quarter of the window")
			require.Contains(t, s.data(t), want[0])
		}
		require.NoError(t, h.Push(nil, message("long"+string(make([]byte, 2000)))))
		synctest.Wait()
		require.Zero(t, engine.Waiting(h))
		pushNumbers(t, h, 1000, 1000)
		require.Equal(t, 1, engine.Waiting(h))
		engine.Hold(h, 3<<19)
		pushNumbers(t, h, 1001, 1001)
		require.Zero(t, engine.Waiting(h))
		engine.Hold(h, -3<<19)
		pushNumbers(t, h, 1002, 1002)
		require.Equal(t, 1, engine.Waiting(h))
		engine.Hold(h, 3<<19)
		for engine.Waiting(h) > 0 { // also where nothing comes: a publisher that has no room wakes the shards
			engine.AtRestButPatient(h)
		}
		engine.Hold(h, -3<<19)
		requireSums(t, h)
	})
}

// Invariants 2 and 3: one that resumes while others wait gets everything once.
func TestResumeWhileOthersWaitPatiently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := patientHub(t, engine.WithLog(persist.NewMemory()), engine.WithEnableResendEvents())
		join(t, h, engine.Subscription{Patient: true}, -1)
		want := pushNumbers(t, h, 1, 5)
		s := join(t, h, engine.Subscription{LastEventID: engine.Earliest, Patient: true}, -1)
		synctest.Wait()
		want = append(want, pushNumbers(t, h, 6, 9)...)
		require.Equal(t, want, s.data(t))
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, want, s.data(t))
		pushNumbers(t, h, 10, 10)
		require.Equal(t, want, s.data(t))
		requireSums(t, h)
		require.Equal(t, append(want, "10"), s.data(t))
	})
}

// What waits stays in the window where the ring comes to hold too much while a run that
// joins it goes out.
func TestWhatWaitsStaysInTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const other = 1 << 20
		h, _ := patientHub(t, engine.WithRingBytes(4<<10))
		engine.Hold(h, -other) // so that the ring seems to hold less than it does
		s, prompt := join(t, h, engine.Subscription{Patient: true}, -1), join(t, h, engine.Subscription{}, -1)
		synctest.Wait()
		push := func(data string) {
			require.NoError(t, h.Push(nil, message(data+strings.Repeat("x", 1<<10))))
			synctest.Wait()
		}
		for range 10 {
			push("waits ")
		}
		require.Equal(t, 10, engine.Waiting(h))
		prompt.mu.Lock()
		prompt.onSend = func([]byte) { engine.Hold(h, other); prompt.onSend = nil }
		prompt.mu.Unlock()
		push("last ")
		requireSums(t, h)
		require.Len(t, s.data(t), 11)
		require.Equal(t, prompt.ids(t), s.ids(t))
		require.LessOrEqual(t, engine.HeldBytes(h), int64(8<<10), "then it goes")
	})
}
