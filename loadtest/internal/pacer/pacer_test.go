package pacer_test

import (
	"fmt"
	"math"
	"math/rand"
	"os"
	"strconv"
	"testing"
	"testing/quick"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/internal/pacer"
)

func TestPace(t *testing.T) {
	const sec = time.Second
	for _, c := range []struct {
		p       pacer.Pacer
		elapsed time.Duration
		hits    uint64
		wait    time.Duration
		stop    bool
	}{
		// Evenly spaced, and at once when late.
		{pacer.Constant{PerSecond: 1}, 0, 0, 0, false},
		{pacer.Constant{PerSecond: 1}, 0, 1, sec, false},
		{pacer.Constant{PerSecond: 100}, 0, 1, 10 * time.Millisecond, false},
		{pacer.Constant{PerSecond: 100}, 5 * time.Millisecond, 1, 5 * time.Millisecond, false},
		{pacer.Constant{PerSecond: 100}, sec, 1, 0, false},
		{pacer.Constant{PerSecond: 1e9}, 0, 7, 7, false},
		{pacer.Constant{PerSecond: 0.5}, sec, 1, sec, false},
		// No rate, or a due time beyond what a duration holds: never.
		{pacer.Constant{}, 0, 0, 0, true},
		{pacer.Constant{PerSecond: -1}, 0, 0, 0, true},
		{pacer.Constant{PerSecond: math.NaN()}, 0, 0, 0, true},
		{pacer.Constant{PerSecond: 1e-9}, 0, math.MaxUint64, 0, true},

		{pacer.Burst{N: 3, Every: sec}, 0, 0, 0, false},
		{pacer.Burst{N: 3, Every: sec}, 0, 2, 0, false},
		{pacer.Burst{N: 3, Every: sec}, 0, 3, sec, false},
		{pacer.Burst{N: 3, Every: sec}, sec / 4, 6, 2*sec - sec/4, false},
		{pacer.Burst{N: 3, Every: sec}, 9 * sec, 6, 0, false},
		{pacer.Burst{N: 0, Every: sec}, 0, 0, 0, true},
		{pacer.Burst{N: 3}, 0, 0, 0, true},
		{pacer.Burst{N: 1, Every: math.MaxInt64}, 0, 2, 0, true},

		// From 0 to 100/s in 10 s: 500 events, the 5th after 1 s.
		{pacer.Ramp{From: 0, To: 100, Over: 10 * sec}, 0, 0, 0, false},
		{pacer.Ramp{From: 0, To: 100, Over: 10 * sec}, 0, 5, sec, false},
		{pacer.Ramp{From: 0, To: 100, Over: 10 * sec}, 0, 500, 10 * sec, false},
		{pacer.Ramp{From: 0, To: 100, Over: 10 * sec}, 0, 600, 11 * sec, false},
		{pacer.Ramp{From: 100, To: 0, Over: 10 * sec}, 0, 500, 10 * sec, false},
		{pacer.Ramp{From: 100, To: 0, Over: 10 * sec}, 0, 501, 0, true},
		{pacer.Ramp{From: 10, To: 10, Over: sec}, 0, 5, sec / 2, false},
		{pacer.Ramp{From: 10, To: 10, Over: sec}, 3 * sec, 5, 0, false},
		{pacer.Ramp{Over: sec}, 0, 0, 0, true},
		{pacer.Ramp{From: -1, To: 5, Over: sec}, 0, 0, 0, true},
		{pacer.Ramp{From: 1, To: 5}, 0, 0, 0, true},

		// A whole period has Mean*Period events.
		{pacer.Sine{Mean: 100, Amp: 50, Period: 10 * sec}, 0, 0, 0, false},
		{pacer.Sine{Mean: 100, Amp: 50, Period: 10 * sec}, 0, 1000, 10 * sec, false},
		{pacer.Sine{Mean: 100, Amp: 0, Period: 10 * sec}, 0, 10, sec / 10, false},
		{pacer.Sine{Mean: 100, Amp: 50, Period: 10 * sec}, 20 * sec, 1000, 0, false},
		{pacer.Sine{Mean: 100, Amp: 101, Period: sec}, 0, 0, 0, true},
		{pacer.Sine{Mean: 0, Amp: 0, Period: sec}, 0, 0, 0, true},
		{pacer.Sine{Mean: 1, Amp: -1, Period: sec}, 0, 0, 0, true},
		{pacer.Sine{Mean: 1, Amp: 1}, 0, 0, 0, true},

		{pacer.Max{}, 0, 0, 0, false},
		{pacer.Max{}, time.Hour, math.MaxUint64, 0, false},
	} {
		wait, stop := c.p.Pace(c.elapsed, c.hits)
		name := fmt.Sprintf("%s at %s, %d hits", c.p, c.elapsed, c.hits)
		require.Equal(t, c.stop, stop, name)
		if !c.stop {
			require.InDelta(t, c.wait, wait, 2, name)
		}
	}
}

// Whatever the parameters: due times never fall, and between any two of them
// the pacer's own rate accounts for the number of events.
func TestScheduleFollowsTheRate(t *testing.T) {
	agree := func(kind uint8, a, b uint16, span uint8) bool {
		lo, hi := float64(min(a, b)%1000)+1, float64(max(a, b)%1000)+1
		lo, hi = min(lo, hi), max(lo, hi)
		d := time.Duration(span)*10*time.Millisecond + 500*time.Millisecond
		var p pacer.Pacer
		switch kind % 4 {
		case 0:
			p = pacer.Constant{PerSecond: hi}
		case 1:
			p = pacer.Ramp{From: lo, To: hi, Over: d}
		case 2:
			p = pacer.Ramp{From: hi, To: lo, Over: d}
		case 3:
			p = pacer.Sine{Mean: hi, Amp: lo, Period: d}
		}
		s := pacer.NewSchedule(p, 2*d, 0)
		var n int
		var last time.Duration
		for {
			at, ok := s.Next(0)
			if !ok {
				break
			}
			if at < last || at >= 2*d {
				t.Logf("%s: event %d due at %s after one at %s", p, n, at, last)
				return false
			}
			last, n = at, n+1
		}
		want := area(p, 2*d)
		if math.Abs(float64(n)-want) > 2+want/1000 {
			t.Logf("%s: %d events in %s, the rate asks for %.1f", p, n, 2*d, want)
			return false
		}
		return true
	}
	require.NoError(t, quick.Check(agree, &quick.Config{MaxCount: 40, Rand: rand.New(rand.NewSource(seed(t)))}))
}

// seed is printed, and taken from LOADTEST_SEED to replay a failure.
func seed(t *testing.T) int64 {
	s := time.Now().UnixNano()
	if env, err := strconv.ParseInt(os.Getenv("LOADTEST_SEED"), 10, 64); err == nil {
		s = env
	}
	t.Logf("replay with LOADTEST_SEED=%d", s)
	return s
}

// area adds up a pacer's rate by the trapezoid rule.
func area(p pacer.Pacer, span time.Duration) float64 {
	const steps = 2_000
	var sum float64
	for i := range steps {
		a, b := span*time.Duration(i)/steps, span*time.Duration(i+1)/steps
		sum += (p.Rate(a) + p.Rate(b)) / 2 * (b - a).Seconds()
	}
	return sum
}

// The schedule is the same however late its events are taken: no coordinated
// omission.
func TestScheduleDoesNotWaitForTheTaker(t *testing.T) {
	s := pacer.NewSchedule(pacer.Constant{PerSecond: 10}, time.Second, 0)
	for i := range 10 {
		at, ok := s.Next(time.Duration(i) * time.Minute)
		require.True(t, ok)
		require.Equal(t, time.Duration(i)*100*time.Millisecond, at)
	}
	_, ok := s.Next(0)
	require.False(t, ok, "nothing is due at or after the end")

	s = pacer.NewSchedule(pacer.Constant{PerSecond: 10}, time.Second, 0)
	_, ok = s.NextDue(0)
	require.True(t, ok)
	_, ok = s.NextDue(99 * time.Millisecond)
	require.False(t, ok, "what is not due yet stays for others")
	at, ok := s.Next(0)
	require.True(t, ok)
	require.Equal(t, 100*time.Millisecond, at)

	s = pacer.NewSchedule(pacer.Max{}, time.Hour, 2)
	at, ok = s.Next(time.Minute)
	require.True(t, ok)
	require.Equal(t, time.Minute, at, "max is due when asked for")
	_, ok = s.Next(time.Minute)
	require.True(t, ok)
	_, ok = s.Next(time.Minute)
	require.False(t, ok, "the limit holds")
}

func TestParse(t *testing.T) {
	for spec, want := range map[string]pacer.Pacer{
		"100":                                pacer.Constant{PerSecond: 100},
		"2.5/s":                              pacer.Constant{PerSecond: 2.5},
		"6000/m":                             pacer.Constant{PerSecond: 100},
		"max":                                pacer.Max{},
		"burst:n=100,every=1s":               pacer.Burst{N: 100, Every: time.Second},
		"ramp:from=0,to=1000,over=1m":        pacer.Ramp{To: 1000, Over: time.Minute},
		"sine:mean=100, amp=50/s,period=10s": pacer.Sine{Mean: 100, Amp: 50, Period: 10 * time.Second},
	} {
		got, err := pacer.Parse(spec)
		require.NoError(t, err, spec)
		require.Equal(t, want, got)
		again, err := pacer.Parse(got.String())
		require.NoError(t, err, got)
		require.Equal(t, got, again)
	}
	for _, spec := range []string{
		"", "0", "-1", "ten", "1/y", "NaN", "1e300", "burst:", "burst:n=0,every=1s", "burst:n=1,every=0s", "burst:n=1",
		"ramp:from=1,to=2,over=x", "ramp:from=0,to=0,over=1s", "ramp:from=-1,to=0,over=1s", "sine:mean=1,amp=2,period=1s",
		"sine:mean=1,amp=1,period=1s,phase=2", "saw:n=1",
	} {
		_, err := pacer.Parse(spec)
		require.ErrorContains(t, err, "write for example", spec)
	}
}
