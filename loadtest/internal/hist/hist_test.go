package hist_test

import (
	"encoding/json"
	"math/rand/v2"
	"sort"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/internal/hist"
)

// Percentiles agree with those of the sorted values within a thousandth, also
// after splitting over several histograms, storing and merging.
func TestPercentilesSurviveStoringAndMerging(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var parts [4]hist.Hist
	var values []int64
	for i := range 100_000 {
		v := int64(r.ExpFloat64() * float64(time.Millisecond))
		values = append(values, v)
		parts[i%4].Record(v)
	}
	sort.Slice(values, func(i, j int) bool { return values[i] < values[j] })
	var all hist.Hist
	for _, p := range parts {
		text, err := p.MarshalText()
		require.NoError(t, err)
		var back hist.Hist
		require.NoError(t, back.UnmarshalText(text))
		all.Merge(&back)
	}
	require.EqualValues(t, len(values), all.Count())
	for _, q := range []float64{0.5, 0.9, 0.99, 0.999} {
		want := values[int(q*float64(len(values)))-1]
		require.InEpsilon(t, want, all.Quantile(q), 0.0015, "q=%v", q)
	}
	require.InEpsilon(t, values[len(values)-1], all.Max(), 0.001)
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
	require.Empty(t, h.Bars())
	b, err := json.Marshal(struct{ H hist.Hist }{h})
	require.NoError(t, err)
	require.JSONEq(t, `{"H":""}`, string(b))
	require.Error(t, h.UnmarshalText([]byte("!")))
	require.Error(t, h.UnmarshalText([]byte("AAAA")))
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
