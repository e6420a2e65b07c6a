package clock_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/spatehub/spate/loadtest/internal/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A clock continued from its base agrees with the original: workers and the
// publisher measure on one time line.
func TestContinuedClockAgrees(t *testing.T) {
	a := clock.New()
	b := clock.From(a.Base())
	require.InDelta(t, a.Now(), b.Now(), float64(5*time.Millisecond))
	require.InDelta(t, time.Now().UnixNano(), a.Now(), float64(100*time.Millisecond))
}

func TestSleepLastsAtLeastItsDuration(t *testing.T) {
	s, err := clock.NewSleeper()
	require.NoError(t, err)
	defer s.Close()
	for _, d := range []time.Duration{0, 50 * time.Microsecond, 3 * time.Millisecond} {
		start := time.Now()
		require.NoError(t, s.Sleep(t.Context(), d))
		require.GreaterOrEqual(t, time.Since(start), d)
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	s, err := clock.NewSleeper()
	require.NoError(t, err)
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	start := time.Now()
	require.ErrorIs(t, s.Sleep(ctx, time.Hour), context.DeadlineExceeded)
	require.Less(t, time.Since(start), time.Minute)
	require.Error(t, s.Sleep(ctx, 0))
}

// An alarm that is waited for is overdue from its grace on, the earliest first, and no
// longer once the wait is over. A clock that is ahead stands for a time at which it
// should have gone off.
func TestOverdueAlarms(t *testing.T) {
	c := clock.New()
	require.Zero(t, c.Overdue(c.Now()))
	hour := c.Now() + int64(time.Hour)
	var ends []context.CancelFunc
	ended := make(chan error, 2)
	for _, due := range []int64{hour, hour - int64(time.Minute)} {
		a, err := c.NewAlarm()
		require.NoError(t, err)
		ctx, end := context.WithCancel(t.Context())
		ends = append(ends, end)
		go func() {
			err := a.Until(ctx, due)
			_ = a.Close()
			ended <- err
		}()
		later := c.Shift(int64(2 * time.Hour))
		require.Eventually(t, func() bool { return later.Overdue(later.Now()) == due }, time.Minute, time.Millisecond)
		require.Zero(t, c.Overdue(c.Now()))
		require.Zero(t, c.Overdue(due+1), "on its way")
	}
	for _, left := range []int64{hour, 0} {
		ends[len(ends)-1]()
		ends = ends[:len(ends)-1]
		require.ErrorIs(t, <-ended, context.Canceled)
		require.Equal(t, left, c.Overdue(hour+int64(time.Hour)))
	}
}

func TestAlarmGoesOffNoEarlierThanDue(t *testing.T) {
	c := clock.New()
	a, err := c.NewAlarm()
	require.NoError(t, err)
	defer a.Close()
	for _, wait := range []time.Duration{-time.Second, 0, 50 * time.Microsecond, 3 * time.Millisecond} {
		due := c.Now() + int64(wait)
		require.NoError(t, a.Until(t.Context(), due))
		require.GreaterOrEqual(t, c.Now(), due)
		require.Zero(t, c.Overdue(c.Now()+int64(time.Hour)))
	}
}
