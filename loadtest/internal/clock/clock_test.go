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
