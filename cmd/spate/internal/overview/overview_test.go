package overview

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
)

// countingLog counts how often it is looked at.
type countingLog struct{ looks int }

func (l *countingLog) LogStats() persist.LogStats {
	l.looks++
	return persist.LogStats{Count: int64(l.looks)}
}

func history(t *testing.T) (*History, *engine.Hub, *countingLog) {
	t.Helper()
	hub := engine.NewHub()
	t.Cleanup(hub.Close)
	log := &countingLog{}
	cpu := 0.0
	return New(Source{Hub: hub, Log: log, Process: func() Process {
		cpu += 0.5
		return Process{CPU: cpu, Resident: 7, Goroutines: 3}
	}}), hub, log
}

// The columns have one value for each sample, whatever is asked for.
func sameLength(t *testing.T, s Series) int {
	t.Helper()
	text, err := json.Marshal(s)
	require.NoError(t, err)
	var columns map[string][]any
	require.NoError(t, json.Unmarshal(text, &columns))
	for name, column := range columns {
		require.Len(t, column, len(s.Time), name)
		require.NotNil(t, column, "%s is no list", name)
	}
	return len(s.Time)
}

// Steps add up: however many samples are left out, the rates tell of all that happened.
func TestRatesAddUpWhateverTheStep(t *testing.T) {
	h, hub, log := history(t)
	start := time.Now().Add(time.Hour)
	for i := range 100 {
		for range i % 7 {
			require.NoError(t, hub.Push(nil, &wire.Event{Data: "x"}))
		}
		h.Look(start.Add(time.Duration(i) * Interval))
	}
	for _, step := range []int{1, 3, 60} {
		s := h.Since(start.UnixMilli(), step)
		require.Equal(t, (98/step)+1, sameLength(t, s))
		require.Equal(t, start.Add(99*Interval).UnixMilli(), s.Time[len(s.Time)-1], "the newest is told")
		sum, before := 0.0, start.UnixMilli()
		for i, at := range s.Time {
			sum += s.Events[i] * float64(at-before) / 1000
			before = at
		}
		require.InDelta(t, hub.Stats().Events, sum, 0.5, "step %d", step)
	}
	require.LessOrEqual(t, log.looks, 22, "the log is looked at seldom")
	require.Equal(t, 50.0, h.Since(start.UnixMilli(), 1).CPU[5])
	require.Zero(t, sameLength(t, h.Since(start.Add(time.Hour).UnixMilli(), 5)), "nothing is newer")
}

// What is kept is bounded, and is the newest.
func TestTheOldestGoes(t *testing.T) {
	h, _, _ := history(t)
	start := time.Now().Add(time.Hour)
	for i := range 2*Kept + 7 {
		h.Look(start.Add(time.Duration(i) * Interval))
	}
	s := h.Since(0, 1)
	require.Equal(t, Kept, sameLength(t, s))
	require.Equal(t, start.Add((Kept+7)*Interval).UnixMilli(), s.Time[0])
	require.Less(t, unsafe.Sizeof(h.ring), uintptr(1<<20))
}

// A clock that is set back starts anew; one that hesitates changes nothing.
func TestTimesIncrease(t *testing.T) {
	h, _, _ := history(t)
	start := time.Now().Add(time.Hour)
	h.Look(start)
	h.Look(start)
	h.Look(start.Add(-time.Second))
	require.Equal(t, 2, sameLength(t, h.Since(0, 1)))
	h.Look(start.Add(-24 * time.Hour))
	s := h.Since(0, 1)
	require.Equal(t, []int64{start.Add(-24 * time.Hour).UnixMilli()}, s.Time)
}

// One sample a second until the context ends, and the other work each tenth.
func TestRunEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := engine.NewHub()
		defer hub.Close()
		h := New(Source{Hub: hub, Process: func() Process { return Process{} }})
		ctx, cancel := context.WithCancel(t.Context())
		done, also := make(chan struct{}), 0
		go func() { defer close(done); h.Run(ctx, func(time.Time) { also++ }) }()
		time.Sleep(30*time.Second + time.Millisecond)
		cancel()
		<-done
		require.Equal(t, 31, sameLength(t, h.Since(0, 1)))
		require.Equal(t, 3, also)
	})
}

// Quantiles are of what came between two samples, within the bucket that has them.
func TestQuantiles(t *testing.T) {
	var before, now hist
	_, ok := quantile(&before, &now, 0.5)
	require.False(t, ok, "nothing was measured")
	before.add([]uint64{1000})
	now = before
	now.add(append(make([]uint64, 10), 90, 0, 10)) // 512 to 1024, and 2048 to 4096
	v, ok := quantile(&before, &now, 0.5)
	require.True(t, ok)
	require.InDelta(t, 512+512*50.0/90, v, 1)
	v, _ = quantile(&before, &now, 0.99)
	require.InDelta(t, 2048+2048*0.9, v, 1)
	before[3] = 1<<32 - 1 // counts wrap around
	now[3] = 1
	_, ok = quantile(&before, &now, 0.5)
	require.True(t, ok)
	var most hist
	most.add(append(make([]uint64, buckets+5), 1))
	v, _ = quantile(&hist{}, &most, 1)
	require.Equal(t, float64(1<<24), v, "what is above all bounds counts as the largest")
}
