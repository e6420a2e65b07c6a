// Package hist is the load tester's histogram: nanoseconds with three
// significant digits up to an hour, mergeable and storable without loss.
package hist

import (
	"encoding/base64"
	"fmt"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

const (
	lowest  = 1
	highest = int64(time.Hour)
	digits  = 3
)

// Hist counts durations. It is for one goroutine at a time. The zero value is
// ready for use and takes its 260 KB when the first value comes.
type Hist struct{ h *hdr.Histogram }

// Record counts one duration in nanoseconds. What is out of range counts as the
// nearest value in range.
func (h *Hist) Record(ns int64) {
	if h.h == nil {
		h.h = hdr.New(lowest, highest, digits)
	}
	_ = h.h.RecordValue(min(max(ns, 0), highest)) // in range, so it cannot fail
}

// RecordN counts the same duration n times.
func (h *Hist) RecordN(ns, n int64) {
	if n <= 0 {
		return
	}
	if h.h == nil {
		h.h = hdr.New(lowest, highest, digits)
	}
	_ = h.h.RecordValues(min(max(ns, 0), highest), n)
}

// Merge adds what from has counted.
func (h *Hist) Merge(from *Hist) {
	if from.Count() == 0 {
		return
	}
	if h.h == nil {
		h.h = hdr.New(lowest, highest, digits)
	}
	h.h.Merge(from.h)
}

// Reset forgets everything.
func (h *Hist) Reset() {
	if h.Count() > 0 {
		h.h.Reset()
	}
}

// Count is the number of durations recorded.
func (h *Hist) Count() int64 {
	if h.h == nil {
		return 0
	}
	return h.h.TotalCount()
}

// Quantile returns the duration, in nanoseconds, that the share q (0 to 1) of
// the recorded ones does not exceed, within a thousandth; 0 if none is recorded.
func (h *Hist) Quantile(q float64) int64 {
	if h.Count() == 0 {
		return 0
	}
	if q >= 1 {
		return h.Max()
	}
	return min(h.h.ValueAtPercentile(q*100), h.Max())
}

// Max is the longest duration recorded, within a thousandth.
func (h *Hist) Max() int64 {
	if h.Count() == 0 {
		return 0
	}
	return h.h.Max()
}

// Bar is the number of durations up to a bound, in one step of a histogram.
type Bar struct {
	To    int64 // nanoseconds
	Count int64
}

// Bars returns the steps that counted anything, in rising order.
func (h *Hist) Bars() []Bar {
	if h.Count() == 0 {
		return nil
	}
	var bars []Bar
	for _, b := range h.h.Distribution() {
		if b.Count > 0 {
			bars = append(bars, Bar{To: b.To, Count: b.Count})
		}
	}
	return bars
}

// MarshalText gives the histogram in HdrHistogram's compressed V2 format as
// base64, which other HdrHistogram tools read too. An empty one gives nothing.
func (h Hist) MarshalText() ([]byte, error) {
	if h.Count() == 0 {
		return []byte{}, nil
	}
	b, err := h.h.Encode(hdr.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, fmt.Errorf("encode a histogram: %w", err)
	}
	return b, nil
}

// UnmarshalText is the reverse of MarshalText.
func (h *Hist) UnmarshalText(text []byte) error {
	h.h = nil
	if len(text) == 0 {
		return nil
	}
	if _, err := base64.StdEncoding.DecodeString(string(text)); err != nil {
		return fmt.Errorf("decode a histogram: %w", err)
	}
	d, err := hdr.Decode(text)
	if err != nil {
		return fmt.Errorf("decode a histogram: %w", err)
	}
	h.h = hdr.New(lowest, highest, digits)
	if dropped := h.h.Merge(d); dropped > 0 {
		h.h = nil
		return fmt.Errorf("decode a histogram: %d values are out of range", dropped)
	}
	return nil
}
