package report_test

import (
	"bytes"
	"encoding/xml"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/internal/report"
)

// series are runs with the given latencies at p99, in milliseconds.
func series(name string, p99s ...int64) report.Series {
	var s report.Series
	for _, ms := range p99s {
		r := result(name)
		r.Latency.P99 = ms * int64(time.Millisecond)
		s = append(s, r)
	}
	return s
}

// A comparison fails beyond its tolerance, in the direction that is worse for the
// figure, and not within the noise of repeated runs.
func TestTolerances(t *testing.T) {
	for _, x := range []struct {
		tolerance string
		a, b      report.Series
		ok        bool
		got       string
	}{
		{"p99=20%", series("a", 100), series("b", 119), true, "100ms → 119ms; noise not known with fewer than 4 runs of each (run -repeat)"},
		{"p99=20%", series("a", 100), series("b", 121), false, "100ms → 121ms; noise not known with fewer than 4 runs of each (run -repeat)"},
		{"p99=20%", series("a", 100), series("b", 10), true, "100ms → 10.0ms; noise not known with fewer than 4 runs of each (run -repeat)"},
		{"p99=25ms", series("a", 100), series("b", 121), true, "100ms → 121ms; noise not known with fewer than 4 runs of each (run -repeat)"},
		{"p99=20%", series("a", 90, 100, 110, 200), series("b", 150, 160, 170, 180), true, "105ms ±52% → 165ms ±9%, within the noise"},
		{"p99=20%", series("a", 90, 100, 110, 120), series("b", 150, 160, 170, 180), false, "105ms ±14% → 165ms ±9%"},
		{"lost=0", series("a", 1), series("b", 1), true, "3 → 3; noise not known with fewer than 4 runs of each (run -repeat)"},
		{"resume.p99=50%", series("a", 1), series("b", 1), false, "not measured"},
	} {
		tol, err := report.ParseTolerance(x.tolerance)
		require.NoError(t, err)
		require.Equal(t, report.Expectation{Text: x.tolerance, Got: x.got, OK: x.ok}, tol.Check(x.a, x.b))
	}
	slower := series("b", 1)
	slower[0].Deliveries.PerSecond /= 2
	tol, err := report.ParseTolerance("deliveries/s=10%")
	require.NoError(t, err)
	require.False(t, tol.Check(series("a", 1), slower).OK, "less throughput is worse")
	require.True(t, tol.Check(slower, series("a", 1)).OK)
	for _, bad := range []string{"", "p99", "p99=fast", "speed=1%", "p99=-1%", "lost=-1", "p99=x%"} {
		_, err := report.ParseTolerance(bad)
		require.ErrorContains(t, err, "-tolerance", bad)
	}
}

// Every difference in the set-up is named, and only these.
func TestEveryDifferenceIsNamed(t *testing.T) {
	a, b := series("a", 1), series("b", 1)
	var out bytes.Buffer
	report.Compare(&out, []report.Series{a, b}, nil)
	require.NotContains(t, out.String(), "differs")
	b[0].Config.Away, b[0].Config.Storms, b[0].Machine.CPUs, b[0].Config.Adapter = time.Hour, nil, 64, "nchan"
	b[0].Config.RunID, b[0].Config.Name = "ff", "other"
	report.Compare(&out, []report.Series{a, b}, nil)
	for _, text := range []string{"differs in away: 100000000, 3600000000000", "differs in machine.cpus: 0, 64", `differs in adapter: "spate", "nchan"`} {
		require.Contains(t, out.String(), text)
	}
	require.Equal(t, 3, bytes.Count(out.Bytes(), []byte("differs in")))
}

// With enough runs a comparison says better, worse or noise.
func TestCompareSaysBetterOrWorse(t *testing.T) {
	var out bytes.Buffer
	report.Compare(&out, []report.Series{series("a", 100, 101, 102, 103), series("b", 150, 151, 152, 153), series("c", 50, 51, 52, 53), series("d", 99, 102, 104, 103)}, nil)
	require.Regexp(t, `p99 +102ms ±1% +152ms ±1% ×1.49 worse +51.5ms ±3% ×0.51 better +102ms ±2% ×1.01 ~`, out.String())
}

// A series is read back as it was written, a single run as a plain result.
func TestSeriesIsReadBack(t *testing.T) {
	for _, s := range []report.Series{series("one", 5), series("many", 5, 9, 7)} {
		name := filepath.Join(t.TempDir(), "s.json")
		var b bytes.Buffer
		require.NoError(t, s.Write(&b))
		require.NoError(t, os.WriteFile(name, b.Bytes(), 0o600))
		back, err := report.ReadSeries(name)
		require.NoError(t, err)
		require.Len(t, back, len(s))
		require.Equal(t, s.Median().Latency.P99, back.Median().Latency.P99)
		var again bytes.Buffer
		require.NoError(t, back.Write(&again))
		require.Equal(t, b.String(), again.String())
	}
	s := series("x", 1, 2)
	s[1].Interrupted = true
	require.Equal(t, report.ExitInterrupted, s.ExitCode())
}

// CI systems get each expectation as a case, and a run that does not count as an
// error.
func TestJUnitAndMarkdown(t *testing.T) {
	r := result(`"night" <run> | *x*`)
	r.Verdict.Expectations = []report.Expectation{{Text: "lost==0", Got: "3"}, {Text: "p99<2s", Got: "990ms", OK: true}}
	r.Verdict.Valid, r.Verdict.Invalid = false, []string{"starved & <slow>"}
	var b bytes.Buffer
	require.NoError(t, report.JUnit(&b, []*report.Result{r}, []report.Expectation{{Text: "p99=20%", Got: "worse"}}))
	var doc struct {
		Suites []struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Errors   int `xml:"errors,attr"`
			Cases    []struct {
				Name    string `xml:"name,attr"`
				Failure *struct {
					Message string `xml:"message,attr"`
				} `xml:"failure"`
				Error *struct {
					Message string `xml:"message,attr"`
				} `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	require.NoError(t, xml.Unmarshal(b.Bytes(), &doc))
	require.Len(t, doc.Suites, 2)
	s := doc.Suites[0]
	require.Equal(t, []int{3, 1, 1}, []int{s.Tests, s.Failures, s.Errors})
	require.Equal(t, "starved & <slow>", s.Cases[0].Error.Message)
	require.Equal(t, "3", s.Cases[1].Failure.Message)
	require.Nil(t, s.Cases[2].Failure)
	require.Equal(t, 1, doc.Suites[1].Failures)

	b.Reset()
	r.Markdown(&b)
	require.Contains(t, b.String(), "| FAILED | `lost==0` | 3 |")
	require.Contains(t, b.String(), "**Invalid**")
	require.NotContains(t, b.String(), "<run>")
	require.NotContains(t, b.String(), "| *x*")
	b.Reset()
	report.CompareMarkdown(&b, []report.Series{{r}, {r}}, []report.Expectation{{Text: "p99=20%", Got: "worse"}})
	require.Contains(t, b.String(), "| WORSE | `p99=20%` | worse |")
}
