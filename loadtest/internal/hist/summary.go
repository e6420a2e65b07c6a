package hist

import (
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
	P99   int64 `json:"p99_ns"`
	P999  int64 `json:"p99_9_ns"`
	P9999 int64 `json:"p99_99_ns"`
	Max   int64 `json:"max_ns"`
}

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
