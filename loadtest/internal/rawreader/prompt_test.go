//go:build linux

package rawreader_test

import (
	"context"
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
