package hist

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// MarshalText gives the histogram in HdrHistogram's compressed V2 format as
// base64, which other HdrHistogram tools read too. An empty one gives nothing.
func (h Hist) MarshalText() ([]byte, error) {
	if h.total == 0 {
		return []byte{}, nil
	}
	d := hdr.New(1, highest, 3)
	for i := h.lo; i <= h.hi; i++ {
		if n := h.counts[i]; n > 0 {
			lo, _ := bounds(i)
			if err := d.RecordValues(lo, n); err != nil {
				return nil, fmt.Errorf("encode a histogram: %w", err)
			}
		}
	}
	b, err := d.Encode(hdr.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, fmt.Errorf("encode a histogram: %w", err)
	}
	return b, nil
}

// UnmarshalText is the reverse of MarshalText. Minimum, maximum and mean are
// then known within a thousandth.
func (h *Hist) UnmarshalText(text []byte) error {
	*h = Hist{}
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
	for _, b := range d.Distribution() {
		h.RecordN(b.To, b.Count)
	}
	return nil
}

// MarshalBinary gives the histogram exactly and cheaply, for other processes of
// the same program: count of each step in use, as variable-length integers.
func (h Hist) MarshalBinary() ([]byte, error) {
	b := binary.AppendUvarint(nil, uint64(h.total))
	if h.total == 0 {
		return b, nil
	}
	b = binary.AppendUvarint(b, uint64(h.min))
	b = binary.AppendUvarint(b, uint64(h.max))
	b = binary.AppendUvarint(b, math.Float64bits(h.sum))
	last := 0
	for i := h.lo; i <= h.hi; i++ {
		if n := h.counts[i]; n > 0 {
			b = binary.AppendUvarint(b, uint64(i-last))
			b = binary.AppendUvarint(b, uint64(n))
			last = i
		}
	}
	return b, nil
}

var errBinary = errors.New("decode a histogram: not what MarshalBinary gives")

// UnmarshalBinary is the reverse of MarshalBinary.
func (h *Hist) UnmarshalBinary(b []byte) error {
	*h = Hist{}
	ok := true
	next := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			ok = false
			return 0
		}
		b = b[n:]
		return v
	}
	total := next()
	if total == 0 && ok {
		return nil
	}
	lo, hi, sum := int64(next()), int64(next()), math.Float64frombits(next())
	at := uint64(0)
	for len(b) > 0 && ok {
		at += next()
		n := next()
		if at > uint64(step(highest)) || n > math.MaxInt64 {
			return errBinary
		}
		v, _ := bounds(int(at))
		h.RecordN(v, int64(n))
	}
	if !ok || h.total != int64(total) {
		*h = Hist{}
		return errBinary
	}
	h.min, h.max, h.sum = lo, hi, sum
	return nil
}
