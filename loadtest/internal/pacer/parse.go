package pacer

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Usage describes what Parse reads.
const Usage = `100/s, 6000/m, max, burst:n=100,every=1s, ramp:from=10,to=1000,over=60s, sine:mean=100,amp=50,period=10s, points:0s=10,30s=500,60s=500`

// Parse reads a specification such as those in Usage. A bare number is a rate
// per second.
func Parse(spec string) (Pacer, error) {
	kind, rest, named := strings.Cut(strings.TrimSpace(spec), ":")
	if !named {
		if kind == "max" {
			return Max{}, nil
		}
		r, err := parseRate(kind)
		if err != nil {
			return nil, fmt.Errorf("rate %q: %w; write for example %s", spec, err, Usage)
		}
		return Constant{PerSecond: r}, nil
	}
	parse := func(rest string) (Pacer, error) { return parseNamed(kind, rest) }
	if kind == "points" {
		parse = parsePoints
	}
	p, err := parse(rest)
	if err != nil {
		return nil, fmt.Errorf("rate %q: %w; write for example %s", spec, err, Usage)
	}
	return p, nil
}

func parseNamed(kind, rest string) (Pacer, error) {
	f := fields{values: map[string]string{}}
	for part := range strings.SplitSeq(rest, ",") {
		k, v, ok := strings.Cut(part, "=")
		if !ok {
			return nil, fmt.Errorf("%q is not key=value", part)
		}
		f.values[strings.TrimSpace(k)] = strings.TrimSpace(v)
	}
	var p Pacer
	switch kind {
	case "burst":
		b := Burst{N: uint64(f.number("n")), Every: f.duration("every")}
		if b.N == 0 {
			f.fail(errors.New("n must be at least 1"))
		}
		p = b
	case "ramp":
		r := Ramp{From: f.rate("from"), To: f.rate("to"), Over: f.duration("over")}
		if r.From+r.To == 0 {
			f.fail(errors.New("from and to are both 0"))
		}
		p = r
	case "sine":
		s := Sine{Mean: f.rate("mean"), Amp: f.rate("amp"), Period: f.duration("period")}
		if s.Amp > s.Mean || s.Mean == 0 {
			f.fail(errors.New("mean must be above 0 and amp at most mean"))
		}
		p = s
	default:
		return nil, fmt.Errorf("%q is no pacer", kind)
	}
	for k := range f.values {
		f.fail(fmt.Errorf("%s has no %q", kind, k))
	}
	return p, f.err
}

// fields takes named values out of a specification and keeps the first error.
type fields struct {
	values map[string]string
	err    error
}

func (f *fields) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

func (f *fields) take(key string) string {
	v, ok := f.values[key]
	if !ok {
		f.fail(fmt.Errorf("%s is missing", key))
	}
	delete(f.values, key)
	return v
}

func (f *fields) number(key string) float64 {
	v, err := strconv.ParseFloat(f.take(key), 64)
	if err != nil || v < 0 || v > 1e12 {
		f.fail(fmt.Errorf("%s is not a number", key))
		return 0
	}
	return v
}

func (f *fields) rate(key string) float64 {
	v, err := parseRate(f.take(key))
	if err != nil && v != 0 {
		f.fail(fmt.Errorf("%s: %w", key, err))
	}
	return v
}

func (f *fields) duration(key string) time.Duration {
	d, err := time.ParseDuration(f.take(key))
	if err != nil || d <= 0 {
		f.fail(fmt.Errorf("%s is not a duration such as 10s", key))
	}
	return d
}

// parseRate reads "100", "100/s", "6000/m" or "36000/h" as events a second. For
// 0 the value is 0 and there is an error, which callers may ignore.
func parseRate(s string) (float64, error) {
	num, unit, _ := strings.Cut(s, "/")
	per := map[string]float64{"": 1, "s": 1, "m": 60, "h": 3600}[unit]
	v, err := strconv.ParseFloat(num, 64)
	if err != nil || per == 0 || math.IsNaN(v) || v < 0 || v > 1e9 {
		return -1, errors.New("not a rate")
	}
	if v == 0 {
		return 0, errors.New("a rate of 0 sends nothing")
	}
	return v / per, nil
}

// ParseRate reads a rate such as "100/s" as events a second; 0 is one.
func ParseRate(s string) (float64, error) {
	v, err := parseRate(s)
	if v == 0 {
		return 0, nil
	}
	return v, err
}

func num(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// String implements Pacer.
func (c Constant) String() string { return num(c.PerSecond) + "/s" }

// String implements Pacer.
func (b Burst) String() string { return fmt.Sprintf("burst:n=%d,every=%s", b.N, b.Every) }

// String implements Pacer.
func (r Ramp) String() string {
	return fmt.Sprintf("ramp:from=%s,to=%s,over=%s", num(r.From), num(r.To), r.Over)
}

// String implements Pacer.
func (s Sine) String() string {
	return fmt.Sprintf("sine:mean=%s,amp=%s,period=%s", num(s.Mean), num(s.Amp), s.Period)
}

// String implements Pacer.
func (Max) String() string { return "max" }
