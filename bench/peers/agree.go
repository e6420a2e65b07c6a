//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"
)

// comparedRounds is how many rounds two loads need before it can be said whether they agree.
const comparedRounds = 7

// agreement writes whether two loads found the same processor time for a delivery, as a multiple of the bare loop's in the
// same round: for each server the ranges of the two must meet. The first column of both works is that time.
func agreement(a, b *results) string {
	var out strings.Builder
	fmt.Fprintf(&out, "\n### Do the two loads agree?\n\nProcessor time for a delivery, as a multiple of floor-go's in the same round: median, lowest and highest.\n\n"+
		"| server | × floor, by the reader | × floor, by loadtest | agree |\n| --- | ---: | ---: | --- |\n")
	agreed, compared := 0, 0
	for _, server := range a.servers {
		x, y := multiples(a, server), multiples(b, server)
		if server == "floor-go" || len(x) == 0 || len(y) == 0 {
			continue
		}
		word := "no: the ranges do not meet"
		switch {
		case len(x) < comparedRounds || len(y) < comparedRounds:
			word = fmt.Sprintf("not known: fewer than %d rounds", comparedRounds)
		case x[0] <= y[len(y)-1] && y[0] <= x[len(x)-1]:
			word = "yes"
			agreed++
			compared++
		default:
			compared++
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s |\n", server, rangeOf(x), rangeOf(y), word)
	}
	if compared > 0 {
		fmt.Fprintf(&out, "\nThey agree on %d of %d servers.\n", agreed, compared)
	}
	return out.String()
}

// multiples returns the first column of a server as multiples of the floor's in the same round, in rising order.
func multiples(r *results, server string) []float64 {
	var list []float64
	floor := r.samples["floor-go"]
	for i, s := range r.samples[server] {
		if i < len(floor) && len(s.values) > 0 && len(floor[i].values) > 0 && floor[i].values[0] > 0 {
			list = append(list, s.values[0]/floor[i].values[0])
		}
	}
	slices.Sort(list)
	return list
}

func rangeOf(list []float64) string {
	return fmt.Sprintf("%.2f (%.2f to %.2f)", quantile(list, 0.5), list[0], list[len(list)-1])
}
