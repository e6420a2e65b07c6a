package pacer_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/internal/pacer"
)

// Every event of a line of rates is due where the area under it reaches its number,
// and the line ends with its last point.
func TestPoints(t *testing.T) {
	p, err := pacer.Parse("points:0s=10,2s=10,2s=100,4s=0,6s=0,7s=2")
	require.NoError(t, err)
	require.Equal(t, "points:0s=10,2s=10,2s=100,4s=0,6s=0,7s=2", p.String())
	s := pacer.NewSchedule(p, time.Hour, 0)
	var due []time.Duration
	for {
		at, ok := s.Next(0)
		if !ok {
			break
		}
		due = append(due, at)
	}
	require.Len(t, due, 20+100+1)
	require.Equal(t, 1900*time.Millisecond, due[19])
	require.Equal(t, 2*time.Second, due[20], "a jump")
	for i := 1; i < len(due); i++ {
		require.GreaterOrEqual(t, due[i], due[i-1])
	}
	require.InDelta(t, 3.8, due[119].Seconds(), 0.001)
	require.Equal(t, 6*time.Second, due[120].Round(time.Millisecond), "nothing while the rate is 0")
	require.InDelta(t, 50, p.Rate(3*time.Second), 1e-9)
	require.InDelta(t, 2, p.Rate(time.Hour), 1e-9)
	for _, bad := range []string{"points:", "points:0s=10", "points:1s=10,2s=10", "points:0s=10,2s=5,1s=5", "points:0s=0,1s=0", "points:0s=x,1s=1", "points:0s,1s=1"} {
		_, err := pacer.Parse(bad)
		require.Error(t, err, bad)
	}
}
