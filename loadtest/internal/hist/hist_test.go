package hist_test

import (
	"encoding/json"
	"math/rand/v2"
	"sort"
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/internal/hist"
)

// Percentiles agree with those of the sorted values within a thousandth, also
// after splitting over several histograms, storing in either form and merging.
func TestPercentilesSurviveStoringAndMerging(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var parts [4]hist.Hist
	var values []int64
	for i := range 40_000 {
		v := int64(r.ExpFloat64() * float64(time.Millisecond))
		values = append(values, v)
		parts[i%4].Record(v)
	}
	sort.Slice(values, func(i, j int) bool { return values[i] < values[j] })
	var all hist.Hist
	for i, p := range parts {
		var back hist.Hist
		if i%2 == 0 {
			text, err := p.MarshalText()
			require.NoError(t, err)
			require.NoError(t, back.UnmarshalText(text))
		} else {
			b, err := p.MarshalBinary()
			require.NoError(t, err)
			require.NoError(t, back.UnmarshalBinary(b))
			require.Equal(t, p.Summary(), back.Summary())
		}
		all.Merge(&back)
	}
	require.EqualValues(t, len(values), all.Count())
	for _, q := range []float64{0.5, 0.9, 0.99, 0.999} {
		want := values[int(q*float64(len(values)))-1]
		require.InEpsilon(t, want, all.Quantile(q), 0.0011, "q=%v", q)
	}
	require.InEpsilon(t, values[len(values)-1], all.Max(), 0.001)
	require.Equal(t, all.Max(), all.Quantile(1))
}

// Every value is counted in a step that holds it, and a step's bounds are within
// a thousandth of each other.
func TestSteps(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		v := r.Int64N(int64(time.Hour) >> r.IntN(42))
		i := hist.Step(v)
		lo, hi := hist.Bounds(i)
		require.True(t, lo <= v && v <= hi, "%d is not within %d and %d", v, lo, hi)
		require.LessOrEqual(t, float64(hi-lo), float64(lo)/1000)
		if v > 0 {
			require.LessOrEqual(t, hist.Step(v-1), i)
			require.GreaterOrEqual(t, hist.Step(v-1), i-1)
		}
	}
}

// What is stored is what HdrHistogram itself would store.
func TestTextIsHdrHistograms(t *testing.T) {
	var h hist.Hist
	d := hdr.New(1, int64(time.Hour), 3)
	r := rand.New(rand.NewPCG(3, 4))
	for range 10_000 {
		v := r.Int64N(int64(time.Minute) >> r.IntN(36))
		h.Record(v)
		require.NoError(t, d.RecordValue(v))
	}
	text, err := h.MarshalText()
	require.NoError(t, err)
	theirs, err := hdr.Decode(text)
	require.NoError(t, err)
	require.True(t, d.Equals(theirs))
	require.Equal(t, d.ValueAtQuantile(99), h.Quantile(0.99))
}

func TestResetAndReuse(t *testing.T) {
	var h hist.Hist
	h.Record(5)
	h.Record(int64(time.Second))
	h.Reset()
	require.Zero(t, h.Summary())
	h.Record(7)
	require.EqualValues(t, 7, h.Quantile(0.01))
	require.EqualValues(t, 7, h.Min())
}

func TestOutOfRangeCountsAsNearest(t *testing.T) {
	var h hist.Hist
	h.Record(-5)
	h.Record(int64(1000 * time.Hour))
	h.RecordN(10, 0)
	h.RecordN(10, -1)
	require.EqualValues(t, 2, h.Count())
	require.InEpsilon(t, int64(time.Hour), h.Max(), 0.001)
	require.EqualValues(t, h.Max(), h.Quantile(1))
}

func TestEmptyHistogram(t *testing.T) {
	var h, other hist.Hist
	h.Merge(&other)
	h.Reset()
	require.Zero(t, h.Summary())
	require.Zero(t, h.Quantile(0.5))
	b, err := json.Marshal(struct{ H hist.Hist }{h})
	require.NoError(t, err)
	require.JSONEq(t, `{"H":""}`, string(b))
	require.Error(t, h.UnmarshalText([]byte("!")))
	require.Error(t, h.UnmarshalText([]byte("AAAA")))
	for _, b := range []string{"", "\x01", "\x01\x01\x01\x01", "\x02\x01\x01\x01\x01\x01", "\x01\x01\x01\x01\xff\xff\xff\xff\x7f\x01"} {
		require.Error(t, h.UnmarshalBinary([]byte(b)), "%q", b)
	}
}

func TestShow(t *testing.T) {
	for ns, want := range map[int64]string{
		0: "0s", 999: "999ns", 1_500: "1.50µs", 873_000: "873µs", 1_204_000: "1.20ms", 12_340_000: "12.3ms", 2e9: "2.00s", 120e9: "120s",
	} {
		require.Equal(t, want, hist.Show(ns))
	}
}

func TestNoAllocationPerValue(t *testing.T) {
	var h hist.Hist
	h.Record(1)
	require.Zero(t, testing.AllocsPerRun(100, func() { h.Record(123_456) }))
}

func BenchmarkRecord(b *testing.B) {
	var h hist.Hist
	b.ReportAllocs()
	for i := range b.N {
		h.Record(int64(i))
	}
}
