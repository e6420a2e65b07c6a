// Package pacer decides when events are due. A pacer is a pure function, so the
// schedule depends on nothing but its parameters: not on the clock, not on how
// long a push took. That is what makes the load an open model.
package pacer

import (
	"math"
	"time"
)

// Pacer tells when the next event is due.
type Pacer interface {
	// Pace returns how long after elapsed the event number hits (counted from
	// 0) is due; 0 means at once. stop means that no further event is ever due.
	// It must not block and must depend on its arguments alone.
	Pace(elapsed time.Duration, hits uint64) (wait time.Duration, stop bool)
	// Rate is the number of events a second that the schedule asks for at
	// elapsed. It is for display.
	Rate(elapsed time.Duration) float64
	// String is the specification that Parse reads.
	String() string
}

// due turns "event number hits is due at this time" into a wait.
func due(at float64, elapsed time.Duration) (time.Duration, bool) {
	if math.IsNaN(at) || at >= math.MaxInt64 {
		return 0, true
	}
	return max(0, time.Duration(math.Round(at))-elapsed), false
}

// Constant asks for PerSecond events a second, evenly spaced.
type Constant struct{ PerSecond float64 }

// Pace implements Pacer.
func (c Constant) Pace(elapsed time.Duration, hits uint64) (time.Duration, bool) {
	if !(c.PerSecond > 0) {
		return 0, true
	}
	return due(float64(hits)/c.PerSecond*float64(time.Second), elapsed)
}

// Rate implements Pacer.
func (c Constant) Rate(time.Duration) float64 { return max(0, c.PerSecond) }

// Burst asks for N events at once, every Every.
type Burst struct {
	N     uint64
	Every time.Duration
}

// Pace implements Pacer.
func (b Burst) Pace(elapsed time.Duration, hits uint64) (time.Duration, bool) {
	if b.N == 0 || b.Every <= 0 {
		return 0, true
	}
	return due(float64(hits/b.N)*float64(b.Every), elapsed)
}

// Rate implements Pacer.
func (b Burst) Rate(time.Duration) float64 {
	if b.Every <= 0 {
		return 0
	}
	return float64(b.N) / b.Every.Seconds()
}

// Ramp goes evenly from From to To events a second within Over, and stays at
// To. Either end may be 0.
type Ramp struct {
	From, To float64
	Over     time.Duration
}

// Pace implements Pacer. The number of events up to time t is the area under
// the rate: From*t + slope*t²/2. The due time is that solved for t.
func (r Ramp) Pace(elapsed time.Duration, hits uint64) (time.Duration, bool) {
	if !(r.From >= 0) || !(r.To >= 0) || r.From+r.To <= 0 || r.Over <= 0 {
		return 0, true
	}
	at, stop := r.at(float64(hits))
	if stop {
		return 0, true
	}
	return due(at, elapsed)
}

// at is when event number n is due, in nanoseconds.
func (r Ramp) at(n float64) (at float64, stop bool) {
	over := r.Over.Seconds()
	inRamp := (r.From + r.To) / 2 * over
	if n > inRamp {
		if r.To == 0 {
			return 0, true
		}
		return (over + (n-inRamp)/r.To) * 1e9, false
	}
	slope := (r.To - r.From) / over
	if slope == 0 {
		return n / r.From * 1e9, false
	}
	// This form of the root keeps its precision when the slope is tiny.
	root := math.Sqrt(max(0, r.From*r.From+2*slope*n))
	if r.From+root == 0 {
		return 0, false
	}
	return 2 * n / (r.From + root) * 1e9, false
}

// Rate implements Pacer.
func (r Ramp) Rate(elapsed time.Duration) float64 {
	if elapsed >= r.Over {
		return r.To
	}
	return r.From + (r.To-r.From)*elapsed.Seconds()/r.Over.Seconds()
}

// Sine swings around Mean by Amp events a second, once a Period, beginning at
// Mean and going up. Amp may not exceed Mean.
type Sine struct {
	Mean, Amp float64
	Period    time.Duration
}

// Pace implements Pacer. The number of events up to t is
// Mean*t + Amp*(1-cos(ωt))/ω, which never falls; the due time is found by bisection.
func (s Sine) Pace(elapsed time.Duration, hits uint64) (time.Duration, bool) {
	if !(s.Mean > 0) || !(s.Amp >= 0) || s.Amp > s.Mean || s.Period <= 0 {
		return 0, true
	}
	n, omega := float64(hits), 2*math.Pi/s.Period.Seconds()
	// The swing adds between 0 and 2*Amp/ω events.
	lo, hi := max(0, (n-2*s.Amp/omega)/s.Mean), n/s.Mean
	for range 64 {
		mid := (lo + hi) / 2
		if mid == lo || mid == hi {
			break
		}
		if s.Mean*mid+s.Amp*(1-math.Cos(omega*mid))/omega < n {
			lo = mid
		} else {
			hi = mid
		}
	}
	return due(hi*1e9, elapsed)
}

// Rate implements Pacer.
func (s Sine) Rate(elapsed time.Duration) float64 {
	return s.Mean + s.Amp*math.Sin(2*math.Pi*elapsed.Seconds()/s.Period.Seconds())
}

// Max asks for the next event as soon as a publisher is free. It is the one
// closed model here: a slow server lowers the load.
type Max struct{}

// Pace implements Pacer.
func (Max) Pace(time.Duration, uint64) (time.Duration, bool) { return 0, false }

// Rate implements Pacer; the rate is whatever the server takes.
func (Max) Rate(time.Duration) float64 { return math.Inf(1) }
