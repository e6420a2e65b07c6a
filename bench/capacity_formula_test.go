package bench_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rowsOf returns the rows of the table below a heading, without its head.
func rowsOf(t *testing.T, page, heading string) (rows [][]string) {
	t.Helper()
	_, rest, found := strings.Cut(page, "\n"+heading+"\n")
	require.True(t, found, "no %q", heading)
	for line := range strings.Lines(rest) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "## ") {
			break
		}
		if strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| ---") {
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.Trim(cells[i], " `")
			}
			rows = append(rows, cells)
		}
	}
	require.NotEmpty(t, rows)
	return rows[1:]
}

// The formula of docs/capacity.md, with the figures of its table, gives what was measured to a fifth.
func TestCapacityFormula(t *testing.T) {
	text, err := os.ReadFile("../docs/capacity.md")
	require.NoError(t, err)
	number := func(s string) float64 {
		n, err := strconv.ParseFloat(strings.ReplaceAll(s, ",", ""), 64)
		require.NoError(t, err)
		return n
	}
	figures := map[string]float64{}
	for _, row := range rowsOf(t, string(text), "## The figures") {
		figures[row[0]] = number(row[1])
	}
	points := rowsOf(t, string(text), "## Measured points")
	require.GreaterOrEqual(t, len(points), 3)
	for _, row := range points {
		connections, hubs, measured := number(row[0]), number(row[1]), number(row[2])
		require.InEpsilon(t, measured, hubs*figures["hub"]+connections*figures["process"]/1024, 0.2, "%v", row)
	}
}
