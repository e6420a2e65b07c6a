package session

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/wire"
)

// Extractor finds a value in an event. Any goroutine may use it.
type Extractor struct {
	from   byte // 'd' data, 'i' ID, 'j' JSON path, 'r' regular expression
	path   string
	re     *regexp.Regexp
	format string
}

// ExtractorUsage describes what ParseExtractor reads.
const ExtractorUsage = "json:$.path.to[0].field, regex:PATTERN (its first group), data or id"

// TimeFormats lists what a time may be written as.
const TimeFormats = "auto, rfc3339, s, ms, us, ns (since 1970), or a layout of Go's package time"

// ParseExtractor reads a specification such as those in ExtractorUsage. format
// says how a time is written there (see TimeFormats).
func ParseExtractor(spec, format string) (*Extractor, error) {
	x := &Extractor{format: format}
	kind, rest, _ := strings.Cut(spec, ":")
	switch {
	case kind == "json" && rest != "":
		x.from, x.path = 'j', config.JSONPath(rest)
	case kind == "regex" && rest != "":
		re, err := regexp.Compile(rest)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", spec, err)
		}
		if re.NumSubexp() < 1 {
			return nil, fmt.Errorf("%q: put what is wanted into a group ( )", spec)
		}
		x.from, x.re = 'r', re
	case spec == "data":
		x.from = 'd'
	case spec == "id":
		x.from = 'i'
	default:
		return nil, fmt.Errorf("%q: write %s", spec, ExtractorUsage)
	}
	return x, nil
}

// value is the text found, and whether there is any.
func (x *Extractor) value(e *wire.RawEvent) (string, bool) {
	switch x.from {
	case 'd':
		return string(bytes.TrimSpace(e.Data)), len(e.Data) > 0
	case 'i':
		return string(e.ID), e.HasID && len(e.ID) > 0
	case 'r':
		m := x.re.FindSubmatch(e.Data)
		if m == nil {
			return "", false
		}
		return string(m[1]), true
	}
	v := gjson.GetBytes(e.Data, x.path)
	return v.String(), v.Exists() && v.Type != gjson.Null
}

// Has reports whether there is a value that is not empty.
func (x *Extractor) Has(e *wire.RawEvent) bool {
	v, ok := x.value(e)
	return ok && v != ""
}

// Time is the time found, in nanoseconds since the Unix epoch.
func (x *Extractor) Time(e *wire.RawEvent) (int64, bool) {
	v, ok := x.value(e)
	if !ok {
		return 0, false
	}
	return parseTime(v, x.format)
}

var timeUnits = map[string]float64{"s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1}

func parseTime(v, format string) (int64, bool) {
	if unit, ok := timeUnits[format]; ok {
		return number(v, unit)
	}
	switch format {
	case "auto", "":
		if n, err := strconv.ParseFloat(v, 64); err == nil {
			return number(v, unitOf(n))
		}
		format = time.RFC3339Nano
	case "rfc3339":
		format = time.RFC3339Nano
	}
	t, err := time.Parse(format, v)
	if err != nil {
		return 0, false
	}
	return t.UnixNano(), true
}

// unitOf guesses the unit of a time since 1970: each is right for the years 1973
// to 5138.
func unitOf(n float64) float64 {
	for _, unit := range []string{"s", "ms", "us"} {
		if math.Abs(n) < 1e20/timeUnits[unit] {
			return timeUnits[unit]
		}
	}
	return 1
}

// number reads a count of units. Integers keep all their digits.
func number(v string, unit float64) (int64, bool) {
	if n, err := strconv.ParseInt(v, 10, 64); err == nil {
		if n > math.MaxInt64/int64(unit) || n < math.MinInt64/int64(unit) {
			return 0, false
		}
		return n * int64(unit), true
	}
	f, err := strconv.ParseFloat(v, 64)
	if f *= unit; err != nil || math.IsNaN(f) || math.Abs(f) > math.MaxInt64/2 {
		return 0, false
	}
	return int64(f), true
}

// ValidTimeFormat reports whether format is one of TimeFormats: a layout has to
// contain a year.
func ValidTimeFormat(format string) bool {
	_, unit := timeUnits[format]
	return unit || format == "auto" || format == "" || format == "rfc3339" || strings.Contains(format, "06")
}
