package report

import (
	"strconv"
)

// group writes an integer with thin groups of three: 1,234,567.
func group(v int64) string {
	s := strconv.FormatInt(v, 10)
	start := 0
	if v < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// showBytes writes a size with a binary unit.
func showBytes(v float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for v >= 1024 && i < len(units)-1 {
		v /= 1024
		i++
	}
	prec := 1
	if i == 0 || v >= 100 {
		prec = 0
	}
	return strconv.FormatFloat(v, 'f', prec, 64) + " " + units[i]
}

// showRate writes a number per second.
func showRate(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'f', 2, 64) + " M/s"
	case v >= 100:
		return group(int64(v+0.5)) + "/s"
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + "/s"
}

// percent writes a share.
func percent(v float64) string { return strconv.FormatFloat(v*100, 'f', 1, 64) + " %" }
