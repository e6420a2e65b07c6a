package plot_test

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/internal/plot"
)

// wellFormed fails unless svg is XML without not-a-numbers.
func wellFormed(t *testing.T, svg string) {
	t.Helper()
	require.NotContains(t, svg, "NaN")
	require.NotContains(t, svg, "Inf")
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
	}
}

func TestPlotsAreWellFormed(t *testing.T) {
	for name, l := range map[string]plot.Lines{
		"one point":   {Title: "a<b", Series: []plot.Series{{Name: "&", X: []float64{1}, Y: []float64{2}}}},
		"all zero":    {Series: []plot.Series{{X: []float64{1, 2}, Y: []float64{0, 0}}}},
		"holes":       {Series: []plot.Series{{X: []float64{1, 2, 3}, Y: []float64{1, math.NaN(), 2}}}},
		"logarithmic": {Y: plot.Axis{Log: true}, Series: []plot.Series{{Name: "a", X: []float64{1, 2, 3}, Y: []float64{0, 5, 5e6}}, {Name: "b", X: []float64{1}, Y: []float64{1}}}},
		"one decade":  {Y: plot.Axis{Log: true}, Series: []plot.Series{{X: []float64{1}, Y: []float64{10}}}},
		"marks":       {Marks: []plot.Tick{{At: 1.5, Text: "<here>"}, {At: 99, Text: "outside"}}, Series: []plot.Series{{X: []float64{1, 2}, Y: []float64{1, 2}}}},
		"given ticks": {X: plot.Axis{Label: "x", Ticks: []plot.Tick{{At: 1, Text: "one"}, {At: 50, Text: "outside"}}}, Series: []plot.Series{{X: []float64{0, 2}, Y: []float64{1, 2}}}},
	} {
		svg := l.SVG()
		require.NotEmpty(t, svg, name)
		wellFormed(t, svg)
		require.NotContains(t, svg, "outside")
	}
	b := plot.Bars{Title: "bars", Names: []string{"a very long name that has to be cut somewhere", "b"}, Value: []float64{0, 3}, Show: plot.Short}
	wellFormed(t, b.SVG())
}

func TestNothingToDraw(t *testing.T) {
	require.Empty(t, plot.Lines{}.SVG())
	require.Empty(t, plot.Lines{Series: []plot.Series{{X: []float64{1}, Y: []float64{math.NaN()}}}}.SVG())
	require.Empty(t, plot.Bars{Names: []string{"a"}, Value: []float64{0}}.SVG())
}

// A spike stays visible however many points there are.
func TestThinningKeepsTheHighest(t *testing.T) {
	s := plot.Series{}
	for i := range 100_000 {
		s.X, s.Y = append(s.X, float64(i)), append(s.Y, 1)
	}
	s.Y[54_321] = 1000
	svg := plot.Lines{Series: []plot.Series{s}}.SVG()
	require.Less(t, len(svg), 40_000)
	require.Contains(t, svg, " 34.0", "the top of the plot is reached")
}

func TestShort(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 1.5: "1.5", 999: "999", 1500: "1.5k", 2e6: "2M", 3.25e9: "3.25G"} {
		require.Equal(t, want, plot.Short(v))
	}
}
