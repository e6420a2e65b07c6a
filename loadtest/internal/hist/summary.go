package hist

import (
	"encoding/json"
	"strconv"
	"time"
)

// Summary is what a table shows of a histogram. All but Count are nanoseconds.
type Summary struct {
	Count int64 `json:"count"`
	Min   int64 `json:"min_ns"`
	Mean  int64 `json:"mean_ns"`
	P50   int64 `json:"p50_ns"`
	P90   int64 `json:"p90_ns"`
	P95   int64 `json:"p95_ns"`
	P99   int64 `json:"p99_ns"`
	P999  int64 `json:"p99_9_ns"`
	P9999 int64 `json:"p99_99_ns"`
	Max   int64 `json:"max_ns"`
}

// MarshalJSON writes null for the figures of a histogram that has none: 0 ns would
// be a measurement.
func (s Summary) MarshalJSON() ([]byte, error) {
	type plain Summary
	if s.Count > 0 {
		return json.Marshal(plain(s))
	}
	return []byte(`{"count":0,"min_ns":null,"mean_ns":null,"p50_ns":null,"p90_ns":null,"p95_ns":null,"p99_ns":null,"p99_9_ns":null,"p99_99_ns":null,"max_ns":null}`), nil
}

// Show writes a figure of the summary, for people.
func (s Summary) Show(ns int64) string {
	if s.Count == 0 {
		return NotMeasured
	}
	return Show(ns)
}

// NotMeasured stands for a figure that there is none of.
const NotMeasured = "not measured"

// Summary reads the usual percentiles.
func (h *Hist) Summary() Summary {
	if h.Count() == 0 {
		return Summary{}
	}
	return Summary{
		Count: h.Count(),
		Min:   h.min,
		Mean:  h.Mean(),
		P50:   h.Quantile(0.50),
		P90:   h.Quantile(0.90),
		P95:   h.Quantile(0.95),
		P99:   h.Quantile(0.99),
		P999:  h.Quantile(0.999),
		P9999: h.Quantile(0.9999),
		Max:   h.Max(),
	}
}

// Show writes nanoseconds with three significant digits, for people: 873µs,
// 1.20ms, 2.00s.
func Show(ns int64) string {
	d := time.Duration(ns)
	switch {
	case d < time.Microsecond:
		return d.String()
	case d < time.Millisecond:
		return digits3(float64(ns)/1e3, "µs")
	case d < time.Second:
		return digits3(float64(ns)/1e6, "ms")
	default:
		return digits3(float64(ns)/1e9, "s")
	}
}

// digits3 writes v with three significant digits, or all before the point.
func digits3(v float64, unit string) string {
	prec := 2
	switch {
	case v >= 100:
		prec = 0
	case v >= 10:
		prec = 1
	}
	return strconv.FormatFloat(v, 'f', prec, 64) + unit
}
