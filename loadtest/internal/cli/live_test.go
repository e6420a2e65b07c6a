package cli

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/report"
	"github.com/spatehub/spate/loadtest/internal/session"
)

// Away from a terminal each interval is a plain line.
func TestPlainLines(t *testing.T) {
	var b bytes.Buffer
	c := config.Default()
	v := newView(&b, &c)
	s := &session.Stats{}
	s.Duplicates = 3
	s.Fail("status 503")
	v.point(report.Point{At: 1, Span: 1, Phase: "ramp", Open: 50}, s)
	v.point(report.Point{At: 2, Span: 0.5, Phase: "publish", Open: 100, Published: 5, Deliveries: 500, P50: 1.5e6, ServerRSS: 5 << 20, ServerCPU: 0.25}, s)
	require.Equal(t, "    1.0s ramp    open 50, published 0/s, received 0/s, p50 –, p99 –, max –, 3 doubled, 1 errors\n"+
		"    2.0s publish open 100, published 10/s, received 1000/s, p50 1.50ms, p99 –, max –, 3 doubled, 1 errors, server 0.25 cpu 5 MiB\n", b.String())
}

func TestSparkline(t *testing.T) {
	require.Equal(t, "▁▄█", sparkline([]float64{0, 0.5, 1}))
	require.Equal(t, "▁▁", sparkline([]float64{0, 0}))
	require.Empty(t, sparkline(nil))
}
