package engine

import (
	"log/slog"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
)

// A value lies in the bucket whose bounds enclose it, at both ends.
func TestBucketsEncloseTheirValues(t *testing.T) {
	for m := range numMeasures {
		unit := m.scale()
		for _, v := range []uint64{0, 1, 2, 3, 4, 5, 7, 8, 9, 20, 21, 1000, 1 << 24, 1<<24 + 1, math.MaxUint64} {
			i := m.bucket(v)
			shown := float64(v) / unit
			if i < m.buckets() {
				require.LessOrEqual(t, shown, m.bound(i), "%d of %s", v, histograms[m].Name)
			}
			if i > 0 {
				require.Greater(t, shown, m.bound(i-1), "%d of %s", v, histograms[m].Name)
			}
		}
		require.LessOrEqual(t, m.buckets(), numBuckets)
		require.NotEmpty(t, histograms[m].Name)
		require.NotEmpty(t, histograms[m].Help)
	}
}

// count returns how many values a histogram has.
func (h *Hub) count(m measure) (n uint64) {
	for _, c := range h.Histograms()[m].Counts {
		n += c
	}
	return n
}

// measureSink takes all that it is offered, or nothing.
type measureSink bool

func (s measureSink) Write(p []byte) (int, error) {
	if s {
		return len(p), nil
	}
	return 0, nil
}

func (measureSink) Close(error) {}

// What happens is measured, in each way in which a hub keeps events, and in what it should take.
func TestHubMeasures(t *testing.T) {
	for name, opts := range map[string][]HubOption{
		"no log":    nil,
		"memory":    {WithLog(persist.NewMemory())},
		"immediate": {WithLog(persist.NewMemory()), WithImmediateDelivery()},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			hub := NewHub(append(opts, WithEnableResendEvents(), WithLogger(slog.New(slog.DiscardHandler)), WithHeartbeat(80*time.Millisecond))...)
			t.Cleanup(hub.Close)
			_, err := hub.Subscribe(Subscription{}, measureSink(true))
			require.NoError(t, err)
			require.Eventually(t, func() bool { return hub.count(mConnect) == 1 }, 10*time.Second, time.Millisecond)

			first, err := hub.Publish(t.Context(), nil, &wire.Event{Data: "x"})
			require.NoError(t, err)
			const pushes = 2000
			for range pushes {
				require.NoError(t, hub.Push(nil, &wire.Event{Data: "x"}))
			}
			require.Greater(t, hub.count(mPushCommit), uint64(pushes/pushSample/4))
			require.Less(t, hub.count(mPushCommit), uint64(pushes/pushSample*4))
			require.Eventually(t, func() bool {
				require.NoError(t, hub.Push(nil, &wire.Event{Data: "x"}))
				return hub.count(mCommitSocket) > 0 && hub.count(mPass) > 0 && hub.count(mRingFill) > 0
			}, 10*time.Second, time.Millisecond)

			_, err = hub.Subscribe(Subscription{LastEventID: strconv.FormatUint(first[0], 10)}, measureSink(true))
			require.NoError(t, err)
			require.Eventually(t, func() bool { return hub.count(mResume) == 1 && hub.count(mResumeEvents) == 1 }, 10*time.Second, time.Millisecond)
			require.GreaterOrEqual(t, hub.Histograms()[mResumeEvents].Sum, float64(pushes)/2, "or what the window holds")

			for _, m := range []measure{mPushCommit, mCommitSocket, mPass, mConnect, mResume} {
				h := hub.Histograms()[m]
				require.Positive(t, h.Sum, h.Name)
				require.LessOrEqual(t, h.Sum/float64(hub.count(m)), time.Since(began).Seconds(), h.Name)
			}
			fill := hub.Histograms()[mRingFill]
			require.LessOrEqual(t, fill.Sum, float64(hub.count(mRingFill)), "a share is 1 at most")
		})
	}
}

// A connection that takes no bytes is behind, first in the window, then in the log.
func TestHubMeasuresLag(t *testing.T) {
	hub := NewHub(WithLog(persist.NewMemory()), WithEnableResendEvents(), WithLogger(slog.New(slog.DiscardHandler)), WithHeartbeat(80*time.Millisecond), WithStallTimeout(-1))
	t.Cleanup(hub.Close)
	_, err := hub.Subscribe(Subscription{}, measureSink(false))
	require.NoError(t, err)
	require.NoError(t, hub.Push(nil, &wire.Event{Data: "x"}, &wire.Event{Data: "y"}))
	require.Eventually(t, func() bool { return hub.count(mLagWindow) > 0 }, 10*time.Second, time.Millisecond)
	for hub.Stats().Behind == 0 {
		require.NoError(t, hub.Push(nil, &wire.Event{Data: "x"}))
	}
	require.Eventually(t, func() bool { return hub.count(mLagLog) > 0 }, 10*time.Second, time.Millisecond)
	require.LessOrEqual(t, hub.Histograms()[mLagLog].Sum, float64(hub.count(mLagLog)*hub.Stats().Events))
}

// To measure allocates nothing.
func TestMeasuringDoesNotAllocate(t *testing.T) {
	var d measured
	hub := &Hub{born: time.Now()}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		d.add(mLagLog, 17)
		hub.committedIn(hub.samplePush())
		d.addTime(mPass, hub.since(hub.instant()))
	}))
}

// What measuring adds to a push and to a pass.
func BenchmarkMeasuring(b *testing.B) {
	hub := &Hub{born: time.Now(), commits: make(commits, 16)}
	s := &shard{hub: hub}
	b.Run("push", func(b *testing.B) {
		for b.Loop() {
			began := hub.samplePush()
			hub.commits.set(1, 1, began)
			hub.committedIn(began)
		}
	})
	b.Run("pass", func(b *testing.B) {
		for b.Loop() {
			s.beginPass()
			s.offered(1)
			s.endPass()
		}
	})
}
