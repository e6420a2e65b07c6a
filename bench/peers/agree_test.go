//go:build linux

package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func runs(values map[string][]float64) *results {
	r := &results{}
	for _, server := range []string{"floor-go", "x", "y"} {
		for _, v := range values[server] {
			r.add(server, sample{values: []float64{v}})
		}
	}
	return r
}

// TestAgreement: two loads agree on a server where their multiples of the floor, taken round by round, have a range in
// common, and nothing is said with fewer than seven rounds.
func TestAgreement(t *testing.T) {
	floor := []float64{2, 4, 2, 4, 2, 4, 2}
	a := runs(map[string][]float64{"floor-go": floor, "x": {2, 4, 2, 4, 2, 4, 1.8}, "y": {2, 4, 2, 4, 2, 4, 2}})
	b := runs(map[string][]float64{"floor-go": floor, "x": {1.7, 3.7, 1.8, 3.7, 1.8, 3.7, 1.8}, "y": {4, 8, 4, 8, 4, 8, 4}})
	text := agreement(a, b)
	require.Contains(t, text, "| x | 1.00 (0.90 to 1.00) | 0.90 (0.85 to 0.93) | yes |")
	require.Contains(t, text, "| y | 1.00 (1.00 to 1.00) | 2.00 (2.00 to 2.00) | no: the ranges do not meet |")
	require.Contains(t, text, "They agree on 1 of 2 servers.")
	few := runs(map[string][]float64{"floor-go": floor[:3], "x": {2, 4, 2}})
	require.Contains(t, agreement(few, few), "not known")
	require.NotContains(t, agreement(few, few), "They agree")
	require.Equal(t, " ±50 %", a.spread("y", 0), "the floor itself went up and down")
}
