package config

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Mix is how often events go to whom, as shares that add up to 1.
type Mix struct{ Broadcast, Users, Topics float64 }

// ParseMix reads "broadcast", "users", "topics", or weights such as
// "broadcast=1,users=8,topics=1".
func ParseMix(s string) (Mix, error) {
	var m Mix
	for part := range strings.SplitSeq(s, ",") {
		name, weight, weighted := strings.Cut(strings.TrimSpace(part), "=")
		w := 1.0
		if weighted {
			var err error
			if w, err = strconv.ParseFloat(weight, 64); err != nil || !(w >= 0) || w > 1e9 {
				return m, fmt.Errorf("%q: %q is not a weight", s, weight)
			}
		}
		switch name {
		case "broadcast":
			m.Broadcast += w
		case "users":
			m.Users += w
		case "topics":
			m.Topics += w
		default:
			return m, fmt.Errorf("%q: events go to broadcast, users or topics, not to %q; write for example broadcast=1,users=8", s, name)
		}
	}
	sum := m.Broadcast + m.Users + m.Topics
	if sum == 0 {
		return m, fmt.Errorf("%q: all weights are 0", s)
	}
	return Mix{m.Broadcast / sum, m.Users / sum, m.Topics / sum}, nil
}

// Size draws the size of events.
type Size struct{ choices []sizeChoice }

type sizeChoice struct {
	upTo   float64 // cumulative share
	lo, hi int     // bytes, both included
}

// maxSize bounds the size of one event: 16 MiB.
const maxSize = 16 << 20

// ParseSize reads "200", "100-1000" (all sizes alike), or weighted choices such
// as "200:90,1000-8000:10". Sizes are bytes of the event's data.
func ParseSize(s string) (Size, error) {
	var size Size
	var sum float64
	for part := range strings.SplitSeq(s, ",") {
		span, weight, weighted := strings.Cut(strings.TrimSpace(part), ":")
		w := 1.0
		if weighted {
			var err error
			if w, err = strconv.ParseFloat(weight, 64); err != nil || !(w > 0) || w > 1e9 {
				return size, fmt.Errorf("%q: %q is not a weight", s, weight)
			}
		}
		first, last, isRange := strings.Cut(span, "-")
		if !isRange {
			last = first
		}
		lo, err1 := strconv.Atoi(first)
		hi, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || lo < 1 || hi < lo || hi > maxSize {
			return size, fmt.Errorf("%q: %q is not a size from 1 to %d bytes; write for example 200, 100-1000 or 200:90,8000:10", s, span, maxSize)
		}
		sum += w
		size.choices = append(size.choices, sizeChoice{sum, lo, hi})
	}
	for i := range size.choices {
		size.choices[i].upTo /= sum
	}
	return size, nil
}

// Draw returns the next size.
func (s Size) Draw(r *rand.Rand) int {
	c := s.choices[len(s.choices)-1]
	if len(s.choices) > 1 {
		at := r.Float64()
		for _, x := range s.choices {
			if at < x.upTo {
				c = x
				break
			}
		}
	}
	if c.lo == c.hi {
		return c.lo
	}
	return c.lo + r.IntN(c.hi-c.lo+1)
}

// ParseShare reads "5%" or "0.05".
func ParseShare(s string) (float64, error) {
	num, percent := strings.CutSuffix(strings.TrimSuffix(s, "/s"), "%")
	v, err := strconv.ParseFloat(num, 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v >= 0) || v > 1 {
		return 0, fmt.Errorf("%q is not a share such as 5%% or 0.05", s)
	}
	return v, nil
}
