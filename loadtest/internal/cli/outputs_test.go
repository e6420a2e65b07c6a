package cli_test

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/internal/calibrate"
	"github.com/spatehub/spate/loadtest/internal/cli"
	"github.com/spatehub/spate/loadtest/internal/report"
)

// Lines for each interval, and metrics at the end, add up to what the result says.
func TestOutputsForOtherPrograms(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	code, _, errs := command(t, short(serve(t, calibrate.Faults{Double: 7}), "-quiet", "-csv", file("x.csv"), "-jsonl", file("x.jsonl"), "-openmetrics", file("x.om"),
		"-json", file("x.json"), "-html", file("x.html"), "-push-key", "hush", "-header", "X-Secret: hush", "-name", "it's a test")...)
	require.Equal(t, report.ExitOK, code, errs)
	r, err := report.Read(file("x.json"))
	require.NoError(t, err)

	f, err := os.Open(file("x.csv"))
	require.NoError(t, err)
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	require.NoError(t, err)
	require.Contains(t, rows[0], "deliveries")
	require.NotContains(t, rows[1:], "0s")
	text, err := os.ReadFile(file("x.jsonl"))
	require.NoError(t, err)
	var sum int64
	n := 0
	for line := range strings.Lines(string(text)) {
		var p report.Point
		require.NoError(t, json.Unmarshal([]byte(line), &p))
		sum += p.Deliveries
		n++
	}
	require.EqualValues(t, 250, sum)
	require.Equal(t, n, len(rows)-1)

	om, err := os.ReadFile(file("x.om"))
	require.NoError(t, err)
	require.Contains(t, string(om), "loadtest_deliveries_total 250.0")
	require.Contains(t, string(om), "loadtest_duplicates_total 35.0")
	require.Contains(t, string(om), `loadtest_latency_seconds{quantile="0.99"}`)
	require.NotContains(t, string(om), "resume_seconds", "not measured")
	require.True(t, strings.HasSuffix(string(om), "# EOF\n"))

	require.Contains(t, r.Command, "-push-key SECRET -header SECRET")
	require.Contains(t, r.Command, `-name 'it'\''s a test'`)
	require.Contains(t, r.Command, "loadtest run -url http://127.0.0.1")
	page, err := os.ReadFile(file("x.html"))
	require.NoError(t, err)
	for _, part := range []string{"How to repeat it", `class="narrow" viewBox="0 0 340`, `class="wide"`, "Faults in each interval"} {
		require.Contains(t, string(page), part)
	}
	for _, name := range []string{"x.json", "x.html", "x.csv", "x.jsonl", "x.om"} {
		b, err := os.ReadFile(file(name))
		require.NoError(t, err)
		require.NotContains(t, string(b), "hush")
	}
}

// Prometheus can look while the run goes on.
func TestMetricsEndpoint(t *testing.T) {
	url := serve(t, calibrate.Faults{})
	r, w := io.Pipe()
	done := make(chan int, 1)
	go func() {
		code := cli.Main(t.Context(), short(url, "-events", "0", "-rate", "100/s", "-duration", "1s", "-metrics-listen", "127.0.0.1:0"), io.Discard, w)
		_ = w.Close()
		done <- code
	}()
	var at string
	seen, looks := 0.0, 0
	s := bufio.NewScanner(r)
	for s.Scan() {
		if rest, ok := strings.CutPrefix(s.Text(), "metrics at "); ok {
			at = rest
		}
		if !strings.Contains(s.Text(), "publish") || looks == 4 {
			continue // well before the end, while somebody answers
		}
		looks++
		resp, err := (&http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}).Get(at)
		require.NoError(t, err)
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		got := families["loadtest_events_total"].Metric[0].Counter.GetValue()
		require.GreaterOrEqual(t, got, seen)
		seen = got
		require.InDelta(t, 5, families["loadtest_open_streams"].Metric[0].Gauge.GetValue(), 0)
	}
	require.Equal(t, report.ExitOK, <-done)
	require.NotZero(t, seen)
	code, _, errs := command(t, short(url, "-metrics-listen", "nowhere:x")...)
	require.Equal(t, report.ExitUsage, code)
	require.Contains(t, errs, "-metrics-listen")
}

// What could not be kept at the end of a run is said before it begins, all at once.
func TestOutputsThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	same := filepath.Join(dir, "x")
	code, _, errs := command(t, short("http://127.0.0.1:1", "-json", same, "-html", filepath.Join(dir, ".", "x"), "-markdown", "-", "-csv", dir, "-junit", filepath.Join(dir, "no", "such"), "-jsonl", os.DevNull, "-openmetrics", os.DevNull)...)
	require.Equal(t, report.ExitUsage, code)
	for _, want := range []string{"-json and -html would both be written to", "-markdown -: only -json", "-csv: the result could not be written", "-junit: the result could not be written"} {
		require.Contains(t, errs, want)
	}
	require.NotContains(t, errs, "-openmetrics", "nothing is lost in a device that is written to twice")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}
