package pacer

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Points asks for a rate that goes evenly from point to point, and ends with the
// last one. Two points at one time are a jump.
type Points []Point

// Point is a rate at a time.
type Point struct {
	At        time.Duration
	PerSecond float64
}

// valid reports whether times do not fall and there is something to send.
func (p Points) valid() bool {
	var sum float64
	for i, x := range p {
		if !(x.PerSecond >= 0) || math.IsInf(x.PerSecond, 0) || x.At < 0 || i > 0 && x.At < p[i-1].At {
			return false
		}
		sum += x.PerSecond
	}
	return len(p) > 1 && p[0].At == 0 && sum > 0
}

// Pace implements Pacer: an event is due where the area under the line reaches its
// number.
func (p Points) Pace(elapsed time.Duration, hits uint64) (time.Duration, bool) {
	if !p.valid() {
		return 0, true
	}
	n := float64(hits)
	for i := 1; i < len(p); i++ {
		a, b := p[i-1], p[i]
		span := (b.At - a.At).Seconds()
		area := (a.PerSecond + b.PerSecond) / 2 * span
		if n >= area {
			n -= area
			continue
		}
		at, stop := Ramp{From: a.PerSecond, To: b.PerSecond, Over: b.At - a.At}.at(n)
		if stop {
			return 0, true
		}
		return due(float64(a.At)+at, elapsed)
	}
	return 0, true
}

// Rate implements Pacer.
func (p Points) Rate(elapsed time.Duration) float64 { return p.value(elapsed) }

func (p Points) value(elapsed time.Duration) float64 {
	for i := 1; i < len(p); i++ {
		a, b := p[i-1], p[i]
		if elapsed < b.At {
			return a.PerSecond + (b.PerSecond-a.PerSecond)*float64(elapsed-a.At)/float64(b.At-a.At)
		}
	}
	if len(p) == 0 {
		return 0
	}
	return p[len(p)-1].PerSecond
}

// String implements Pacer.
func (p Points) String() string {
	var parts []string
	for _, x := range p {
		parts = append(parts, fmt.Sprintf("%s=%s", x.At, num(x.PerSecond)))
	}
	return "points:" + strings.Join(parts, ",")
}

func parsePoints(rest string) (Pacer, error) {
	var p Points
	for part := range strings.SplitSeq(rest, ",") {
		at, rate, ok := strings.Cut(strings.TrimSpace(part), "=")
		d, err := time.ParseDuration(at)
		v, rateErr := parseRate(rate)
		if !ok || err != nil || rateErr != nil && v != 0 {
			return nil, fmt.Errorf("%q is no time=rate such as 10s=100", part)
		}
		p = append(p, Point{d, v})
	}
	if !p.valid() {
		return nil, fmt.Errorf("times must begin at 0s and not fall, and one rate must be above 0")
	}
	return p, nil
}
