package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/spatehub/spate/loadtest/internal/hist"
)

// junit is the form that CI systems read.
type junit struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Time     string      `xml:"time,attr"`
	Stamp    string      `xml:"timestamp,attr"`
	Cases    []junitCase `xml:"testcase"`
	Out      string      `xml:"system-out,omitempty"`
}

type junitCase struct {
	Class   string       `xml:"classname,attr"`
	Name    string       `xml:"name,attr"`
	Failure *junitReason `xml:"failure,omitempty"`
	Error   *junitReason `xml:"error,omitempty"`
	Out     string       `xml:"system-out,omitempty"`
}

type junitReason struct {
	Message string `xml:"message,attr"`
}

// JUnit writes each run as a suite, with a case for each expectation and one for
// whether the run counts at all. checks, if there are any, are a suite of their
// own: those of a comparison.
func JUnit(w io.Writer, runs []*Result, checks []Expectation) error {
	var doc junit
	for _, r := range runs {
		s := junitSuite{Name: "loadtest " + r.Label(), Stamp: r.Started.UTC().Format("2006-01-02T15:04:05"),
			Time: fmt.Sprintf("%.3f", r.Seconds.Ramp+r.Seconds.Settle+r.Seconds.Publish+r.Seconds.Drain)}
		whole := junitCase{Class: "loadtest", Name: "the run counts"}
		switch {
		case r.Interrupted:
			whole.Error = &junitReason{"interrupted"}
		case !r.Verdict.Valid:
			whole.Error = &junitReason{strings.Join(r.Verdict.Invalid, "; ")}
		}
		var text strings.Builder
		r.Table(&text)
		s.Out = text.String()
		s.add(whole)
		for _, e := range r.Verdict.Expectations {
			s.add(caseOf(e))
		}
		doc.Suites = append(doc.Suites, s)
	}
	if len(checks) > 0 {
		s := junitSuite{Name: "loadtest compare", Time: "0"}
		for _, e := range checks {
			s.add(caseOf(e))
		}
		doc.Suites = append(doc.Suites, s)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", " ")
	return enc.Encode(doc)
}

func caseOf(e Expectation) junitCase {
	c := junitCase{Class: "loadtest", Name: e.Text, Out: e.Got}
	if !e.OK {
		c.Failure = &junitReason{e.Got}
	}
	return c
}

func (s *junitSuite) add(c junitCase) {
	s.Tests++
	if c.Failure != nil {
		s.Failures++
	}
	if c.Error != nil {
		s.Errors++
	}
	s.Cases = append(s.Cases, c)
}

// Markdown writes a summary for a CI job's page.
func (r *Result) Markdown(w io.Writer) {
	fmt.Fprintf(w, "### %s\n\n", mdText(r.Label()))
	switch {
	case r.Interrupted:
		fmt.Fprintf(w, "**Interrupted**: nothing counts as held.\n\n")
	case !r.Verdict.Valid:
		fmt.Fprintf(w, "**Invalid**: %s.\n\n", mdText(strings.Join(r.Verdict.Invalid, "; ")))
	}
	fmt.Fprintf(w, "%s.\n\n", mdText(r.checks()))
	Expectations(w, r.Verdict.Expectations, r.Word)
	fmt.Fprintf(w, "| | count | p50 | p95 | p99 | p99.9 | max |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, x := range r.Summaries() {
		if s := x.Summary; s.Count > 0 {
			fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s |\n", x.Name, group(s.Count), hist.Show(s.P50), hist.Show(s.P95), hist.Show(s.P99), hist.Show(s.P999), hist.Show(s.Max))
		}
	}
	for _, text := range r.Verdict.Warnings {
		fmt.Fprintf(w, "\nNote: %s.\n", mdText(text))
	}
	fmt.Fprintln(w)
}

// Expectations writes a table of expectations, if there are any.
func Expectations(w io.Writer, list []Expectation, word func(Expectation) string) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(w, "| | expected | got |\n| --- | --- | --- |\n")
	for _, e := range list {
		fmt.Fprintf(w, "| %s | `%s` | %s |\n", word(e), strings.ReplaceAll(e.Text, "|", "/"), mdText(e.Got))
	}
	fmt.Fprintln(w)
}

// CompareMarkdown writes a comparison for a CI job's page.
func CompareMarkdown(w io.Writer, list []Series, checks []Expectation) {
	fmt.Fprint(w, "### Comparison\n\n")
	Expectations(w, checks, func(e Expectation) string { return map[bool]string{true: "tolerated", false: "WORSE"}[e.OK] })
	fmt.Fprint(w, "| |")
	rule := "\n| --- |"
	for _, s := range list {
		fmt.Fprintf(w, " %s |", mdText(s[0].Label()))
		rule += " ---: |"
	}
	fmt.Fprintln(w, rule)
	for _, row := range compareRows(list) {
		fmt.Fprintf(w, "| %s |", row.Name)
		for i, v := range row.Values {
			fmt.Fprintf(w, " %s |", strings.TrimSpace(v+" "+row.Ratios[i]))
		}
		fmt.Fprintln(w)
	}
	for _, text := range unlike(list) {
		fmt.Fprintf(w, "\nDiffers in %s\n", mdText(text))
	}
}

// mdText keeps text from outside from becoming markup.
func mdText(s string) string {
	return strings.NewReplacer("|", "\\|", "<", "&lt;", "*", "\\*", "_", "\\_", "`", "'", "[", "\\[", "\n", " ").Replace(s)
}
