//go:build linux

package rawreader_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/internal/clock"
	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/rawreader"
	"github.com/spatehub/spate/loadtest/internal/session"
)

// A loop that reads lets others run when an alarm of its clock is overdue, and only then.
func TestLoopGivesWayToAnOverdueAlarm(t *testing.T) {
	const events = 50
	var stream strings.Builder
	for n := range uint64(events) {
		stream.WriteString(frame(n + 1))
	}
	url := answering(t, streamHead+"\r\n"+stream.String(), 100, true)
	c := clock.New()
	a, err := c.NewAlarm()
	require.NoError(t, err)
	due := c.Now() + int64(time.Hour)
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- a.Until(ctx, due) }()
	require.Eventually(t, func() bool { return c.Overdue(due+int64(time.Hour)) == due }, time.Minute, time.Millisecond)
	for _, ahead := range []time.Duration{0, 2 * time.Hour} {
		tr, _ := prepare(t, c.Shift(int64(ahead)), url, 1, func(*config.Config) {})
		var yields atomic.Int64
		tr.OnYield(func() { yields.Add(1) })
		tr.Open(0, 1)
		await(t, tr, func(s *session.Stats) bool { return s.Events == events })
		require.Equal(t, ahead > 0, yields.Load() > 0)
	}
	end()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.NoError(t, a.Close())
}

// How long a loop waited for the processor counts as lateness.
func TestLoopLooksHowLongItWaited(t *testing.T) {
	tr, _ := open(t, answering(t, streamHead+"\r\n", 1<<20, true), 1, func(*config.Config) {})
	if !tr.CountsLag() {
		t.Skip("this kernel does not tell")
	}
	await(t, tr, func(s *session.Stats) bool { return s.Lag.Count() > 0 })
	ns, turns, ok := rawreader.ParseWaits("12 345 6\n")
	require.True(t, ok)
	require.Equal(t, []int64{345, 6}, []int64{ns, turns})
	for _, text := range []string{"", "12", "12 345", "a b c", "1 2 c"} {
		_, _, ok := rawreader.ParseWaits(text)
		require.False(t, ok, text)
	}
}

// A loop that is starved half of the time, and so has few turns in it, is late at p99: each
// wait weighs as much as the time that it is of, whatever the number of turns.
func TestStarvedHalfIsSeen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "schedstat")
	var now, waited, turns int64
	tell := func() {
		require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, "1 %d %d\n", waited, turns), 0o600))
	}
	turns = 1
	tell()
	w, ok := rawreader.NewWaiter(file)
	require.True(t, ok)
	defer w.Close()
	const ms = int64(time.Millisecond)
	for range 500 { // 5 s at 10,000 turns/s, and no wait
		now, turns = now+10*ms, turns+100
		tell()
		w.Look(now)
	}
	require.Zero(t, w.Lag().Quantile(1))
	for range 100 { // 5 s at 20 turns/s, all of it waiting
		now, turns, waited = now+50*ms, turns+1, waited+50*ms
		tell()
		w.Look(now)
	}
	require.EqualValues(t, 1000, w.Lag().Count(), "one for each 10 ms")
	require.Zero(t, w.Lag().Quantile(0.49))
	require.InEpsilon(t, 50*ms, w.Lag().Quantile(0.51), 0.02)
	require.InEpsilon(t, 50*ms, w.Lag().Quantile(0.99), 0.02)
	now += 10 * ms // without a turn: it ran all the time
	w.Look(now)
	require.EqualValues(t, 1001, w.Lag().Count())
}

// A kernel that has the file but does not count tells nothing, and the lag is measured otherwise.
func TestKernelThatDoesNotCount(t *testing.T) {
	file := filepath.Join(t.TempDir(), "schedstat")
	for _, text := range []string{"0 0 0\n", "", "x y z\n"} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		_, ok := rawreader.NewWaiter(file)
		require.False(t, ok, text)
	}
	_, ok := rawreader.NewWaiter(file + "-no")
	require.False(t, ok)
}
