package report_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/hist"
	"github.com/spatehub/spate/loadtest/internal/report"
)

// result is a run with a value in about everything.
func result(name string) *report.Result {
	r := &report.Result{Version: report.Version, Name: name, Started: time.Unix(1_795_000_000, 0).UTC(), Config: config.Default()}
	for i := range 1000 {
		r.Histograms.Latency.Record(int64(i+1) * int64(time.Millisecond))
	}
	r.Latency = r.Histograms.Latency.Summary()
	r.Deliveries = report.Deliveries{Count: 1000, Expected: 1003, PerSecond: 12345.6}
	r.Checks = report.Checks{Lost: 3, LostAtJoin: 1, Disorder: 2}
	r.Streams = report.Streams{Wanted: 10, Peak: 10}
	r.Server = &report.Server{CPUShare: 0.5, CPUPerDeliver: 1.25, RSSPeak: 100 << 20}
	r.Errors = report.Kinds{"read: reset by the server": 4, "status 503": 9}
	r.Verdict = report.Verdict{Valid: true, Warnings: []string{"a note"}}
	for i := range 20 {
		phase := "ramp"
		if i > 4 {
			phase = "publish"
		}
		r.Timeline = append(r.Timeline, report.Point{At: float64(i + 1), Span: 1, Phase: phase, Open: int64(i), Deliveries: 100, P50: 1e6, P99: 2e6, Max: 3e6, ServerRSS: 1 << 20})
	}
	return r
}

func TestExpectations(t *testing.T) {
	r := result("x")
	for text, ok := range map[string]bool{
		"p99<1s": true, "p50 <= 501ms": true, "max>10s": false, "lost==0": false, "lost==3": true, "lost=3": true, "disorder!=2": false,
		"deliveries/s>=12000": true, "server.rss<100MB": false, "server.rss<=100MiB": true, "server.cpu<0.6": true,
		"server.cpu/delivery<2us": true, "errors==13": true, "P99<2s": true,
		"resume.p99<1s": false, "published>=0": true, "completions>=0": false, "silence<1h": false, "id-duplicates==0": false, // nothing was measured
		"p95<=951ms": true, "p95<900ms": false, "p42.5<=426ms": true, "min>=1ms": true, "mean<1s": true,
		"lost<=0.3%": true, "lost<0.2%": false, "duplicates<=0%": true, "deliveries>=99%": true, "never-open<=0%": true, "disconnects<1%": false,
		"deliveries>=1k": true, "deliveries/s>=12k/s": true, "server.cpu<=50%": true, "bytes/s>=0B/s": true,
	} {
		e, err := report.ParseExpect(text)
		require.NoError(t, err, text)
		got := e.Check(r)
		require.Equal(t, ok, got.OK, "%s: %s", text, got.Got)
	}
	for _, bad := range []string{"", "p99", "p99<", "<5", "p99<5", "lost==x", "p198<1s", "q99<1s", "lost=>3", "ramp<5%", "gaps<1%", "lost<x%", "type..events>1", "server.rss<5 MB", "lost==NaN"} {
		_, err := report.ParseExpect(bad)
		require.ErrorContains(t, err, "-expect", bad)
	}
	require.Equal(t, report.ExitOK, r.ExitCode())
	r.Verdict.Expectations = []report.Expectation{{OK: true}, {OK: false}}
	require.Equal(t, report.ExitUnexpected, r.ExitCode())
	r.Interrupted = true
	require.Equal(t, report.ExitInterrupted, r.ExitCode(), "what held so far has not been seen to the end")
	r.Interrupted, r.Verdict.Valid = false, false
	require.Equal(t, report.ExitInvalid, r.ExitCode(), "figures that do not count cannot fail either")
}

// What was not measured is no zero anywhere: not in an expectation, not in the
// table, not in the JSON, not on the page.
func TestNotMeasuredIsSaid(t *testing.T) {
	r := result("x")
	r.Server, r.Latency, r.Checks, r.Deliveries = nil, hist.Summary{}, report.Checks{Unchecked: true, NoIDs: true}, report.Deliveries{Unchecked: true, Events: 7}
	r.Config.Publish, r.Published.Elsewhere = false, true
	for _, text := range []string{
		"server.cpu<0.5", "server.rss>=0", "lost==0", "lost<=5%", "duplicates==0", "corrupt==0", "misaddressed==0", "missed-away==0", "p99<1h", "p42<1h",
		"deliveries>=0", "deliveries/s>=0", "published>=0", "failed==0", "push.p99<1h", "tester.lag<1h", "id-disorder==0", "id-missing==0", "silences==0",
	} {
		e, err := report.ParseExpect(text)
		require.NoError(t, err)
		require.Equal(t, report.Expectation{Text: text, Got: "not measured"}, e.Check(r))
	}
	var table, page, b bytes.Buffer
	r.Table(&table)
	require.Contains(t, table.String(), "loss, doubles, order and addressees not measured")
	require.NotContains(t, table.String(), "nothing lost")
	require.NoError(t, report.HTML(&page, report.Series{r}))
	require.Contains(t, page.String(), `class="box unknown"`)
	require.NotContains(t, page.String(), "p99.9</span>")
	require.NoError(t, r.Write(&b))
	var fields struct {
		Checks, Deliveries, Latency, Events, Published map[string]any
	}
	require.NoError(t, json.Unmarshal(b.Bytes(), &fields))
	for _, x := range []struct {
		in   map[string]any
		keys []string
	}{
		{fields.Checks, []string{"lost", "lost_tail", "duplicates", "disorder", "misaddressed", "corrupt", "missed_away", "id_disorder", "id_missing"}},
		{fields.Events, []string{"silences", "id_duplicates", "delay_in_future"}},
		{fields.Published, []string{"events", "failed", "per_second"}},
		{fields.Deliveries, []string{"count", "expected", "per_second"}},
		{fields.Latency, []string{"p50_ns", "p95_ns", "p99_ns", "max_ns"}},
	} {
		for _, k := range x.keys {
			v, there := x.in[k]
			require.True(t, there, k)
			require.Nil(t, v, k)
		}
	}
	require.EqualValues(t, 7, fields.Deliveries["events"])
}

// Faults that are counted twice are said to be, and what cannot be known is a
// figure of its own.
func TestTableSaysWhatIsCountedTwice(t *testing.T) {
	r := result("x")
	r.Checks = report.Checks{Lost: 3, Corrupt: 3, Disorder: 2, IDDisorder: 5, IDSwapped: 2, MissedAway: 1753}
	var b bytes.Buffer
	r.Table(&b)
	text := strings.Join(strings.Fields(b.String()), " ")
	require.Contains(t, text, "where a corrupt event did not come again whole, it is in lost too")
	require.Contains(t, text, "5 IDs out of order (2 of them of events that are doubled or out of order)")
	require.Contains(t, text, "1,753 published while streams were away that could not resume")
	r.Checks = report.Checks{MissedAway: 1}
	b.Reset()
	r.Table(&b)
	require.Contains(t, strings.Join(strings.Fields(b.String()), " "), "misaddressed of what was owed")
}

// What is written is read back whole, histograms included.
func TestResultIsReadBack(t *testing.T) {
	name := filepath.Join(t.TempDir(), "r.json")
	r := result("x")
	var b bytes.Buffer
	require.NoError(t, r.Write(&b))
	require.NoError(t, os.WriteFile(name, b.Bytes(), 0o600))
	back, err := report.Read(name)
	require.NoError(t, err)
	require.Equal(t, r.Latency.P99, back.Histograms.Latency.Quantile(0.99))
	var again bytes.Buffer
	require.NoError(t, back.Write(&again))
	require.Equal(t, b.String(), again.String())

	require.NoError(t, os.WriteFile(name, []byte(`{"version":99}`), 0o600))
	_, err = report.Read(name)
	require.ErrorContains(t, err, "another version")
}

// Secrets of the configuration are in no output.
func TestSecretsAreNotStored(t *testing.T) {
	r := result("x")
	const secret = "s3cret"
	r.Config.Bearer, r.Config.PushKey, r.Config.SubKey = secret, secret, secret
	r.Config.Header, r.Config.PushHeader, r.Config.Tokens = []string{secret}, []string{secret}, []string{secret}
	var b bytes.Buffer
	require.NoError(t, r.Write(&b))
	require.NoError(t, report.HTML(&b, report.Series{r}))
	r.Table(&b)
	require.NotContains(t, b.String(), secret)
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	result("night run").Table(&b)
	for _, text := range []string{"night run", "1,000 of 1,003 expected", "3 lost (1 right after joining), 2 out of order", "9× status 503", "a note", "1.25 µs per delivery"} {
		require.Contains(t, b.String(), text)
	}
	for line := range strings.Lines(b.String()) {
		require.LessOrEqual(t, len([]rune(line)), 112, line)
	}
}

func TestCompare(t *testing.T) {
	a, b := result("a"), result("b")
	b.Deliveries.PerSecond *= 2
	b.Config.Streams = 7
	var out bytes.Buffer
	report.Compare(&out, []report.Series{{a}, {b}}, nil)
	require.Contains(t, out.String(), "24,691/s ×2.00")
	require.Contains(t, out.String(), "differs in streams: 100, 7")
	out.Reset()
	require.NoError(t, report.HTML(&out, report.Series{a}, report.Series{b}))
	require.Contains(t, out.String(), "2 runs")
	require.Contains(t, out.String(), "Latency by percentile")
}

// Names come from outside: they cannot become markup.
func TestPageEscapes(t *testing.T) {
	r := result(`<script>alert("x")</script>`)
	r.Errors = report.Kinds{"content-type <b>": 1}
	for _, list := range [][]report.Series{{{r}}, {{r}, {r}}} {
		var b bytes.Buffer
		require.NoError(t, report.HTML(&b, list...))
		require.NotContains(t, b.String(), "<script")
		require.NotContains(t, b.String(), "type <b>")
	}
}
