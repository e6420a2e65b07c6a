package report

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"

	"github.com/spatehub/spate/loadtest/internal/hist"
	"github.com/spatehub/spate/loadtest/internal/plot"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"show":  hist.Show,
	"group": group,
	"row": func(s hist.Summary) []string {
		var cells []string
		for _, v := range []int64{s.P50, s.P90, s.P99, s.P999, s.P9999, s.Max, s.Mean} {
			cells = append(cells, hist.Show(v))
		}
		return cells
	},
}).Parse(pageText))

// pageData is what the page shows.
type pageData struct {
	Title   string
	One     *pageRun // a single run
	Runs    []*Result
	Rows    []comparison // a comparison
	Unlike  string
	Plots   []template.HTML
	Invalid []string
}

// pageRun is a single run prepared for the page.
type pageRun struct {
	*Result
	Cards      []card
	Checks     string
	Sound      bool
	Text       string // the table as text
	ConfigText string // as JSON
	Summaries  []NamedSummary
}

type card struct{ Name, Value, Note string }

// HTML writes one run, or several side by side, as a page that needs nothing
// else.
func HTML(w io.Writer, list []*Result) error {
	d := pageData{Runs: list, Title: list[0].Label()}
	if len(list) == 1 {
		d.One = single(list[0])
		d.Plots = timelines(list[0])
	} else {
		d.Title = fmt.Sprintf("%d runs", len(list))
		d.Rows, d.Unlike = compareRows(list), unlike(list)
		d.Plots = sideBySide(list)
	}
	for _, r := range list {
		for _, text := range r.Verdict.Invalid {
			d.Invalid = append(d.Invalid, r.Label()+": "+text)
		}
	}
	return page.Execute(w, d)
}

func single(r *Result) *pageRun {
	conf, err := json.MarshalIndent(r.Config, "", " ")
	if err != nil {
		conf = []byte(err.Error())
	}
	var text strings.Builder
	r.Table(&text)
	p := &pageRun{
		Result: r, Checks: r.checks(), Text: strings.TrimSpace(text.String()), ConfigText: string(conf), Summaries: r.Summaries(),
		Sound: r.Checks.Lost == 0 && r.Checks.Duplicates == 0 && r.Checks.Disorder == 0 && r.Checks.Misaddressed == 0 && r.Checks.Corrupt == 0,
	}
	p.Cards = []card{
		{"streams", group(r.Streams.Peak), "open at the same time"},
		{"deliveries", showRate(r.Deliveries.PerSecond), group(r.Deliveries.Count) + " in all"},
		{"p50", hist.Show(r.Latency.P50), "due time to receipt"},
		{"p99", hist.Show(r.Latency.P99), ""},
		{"p99.9", hist.Show(r.Latency.P999), ""},
		{"max", hist.Show(r.Latency.Max), ""},
	}
	if s := r.Server; s != nil {
		p.Cards = append(p.Cards,
			card{"server", fmt.Sprintf("%.2f µs", s.CPUPerDeliver), "processor time per delivery"},
			card{"memory", showBytes(float64(s.RSSPeak)), s.perStream("")})
	}
	return p
}

// timelines are the plots of one run.
func timelines(r *Result) []template.HTML {
	line := func(name string, get func(p Point) float64) plot.Series {
		s := plot.Series{Name: name}
		for _, p := range r.Timeline {
			s.X, s.Y = append(s.X, p.At), append(s.Y, get(p))
		}
		return s
	}
	seconds := plot.Axis{Label: "seconds"}
	marks := phaseMarks(r)
	delay := plot.Axis{Log: true, Show: func(v float64) string { return hist.Show(int64(v)) }}
	list := []plot.Lines{
		{Title: "Deliveries a second", X: seconds, Marks: marks, Series: []plot.Series{
			line("deliveries/s", func(p Point) float64 { return float64(p.Deliveries) / p.Span })}},
		{Title: "Latency in each interval", X: seconds, Y: delay, Marks: marks, Series: []plot.Series{
			line("p50", func(p Point) float64 { return above0(p.P50) }),
			line("p99", func(p Point) float64 { return above0(p.P99) }),
			line("max", func(p Point) float64 { return above0(p.Max) })}},
		percentilePlot([]*Result{r}),
		{Title: "Open streams", X: seconds, Marks: marks, Series: []plot.Series{
			line("open", func(p Point) float64 { return float64(p.Open) })}},
		{Title: "Published a second", X: seconds, Marks: marks, Series: []plot.Series{
			line("published/s", func(p Point) float64 { return float64(p.Published) / p.Span })}},
		{Title: "Processors in use", X: seconds, Marks: marks, Series: []plot.Series{
			line("server", func(p Point) float64 { return p.ServerCPU }),
			line("tester", func(p Point) float64 { return p.TesterCPU })}},
	}
	if r.Server != nil {
		list = append(list, plot.Lines{Title: "Server's resident memory", X: seconds, Marks: marks,
			Y:      plot.Axis{Show: showBytes},
			Series: []plot.Series{line("RSS", func(p Point) float64 { return float64(p.ServerRSS) })}})
	}
	if r.Errors.Total() > 0 {
		list = append(list, plot.Lines{Title: "Errors in each interval", X: seconds, Marks: marks, Series: []plot.Series{
			line("errors", func(p Point) float64 { return float64(p.Errors) })}})
	}
	return draw(list)
}

func draw(list []plot.Lines) []template.HTML {
	var out []template.HTML
	for _, l := range list {
		if svg := l.SVG(); svg != "" {
			out = append(out, template.HTML(svg)) // made by plot, which escapes all text
		}
	}
	return out
}

func above0(ns int64) float64 {
	if ns <= 0 {
		return math.NaN()
	}
	return float64(ns)
}

// phaseMarks marks where phases begin.
func phaseMarks(r *Result) []plot.Tick {
	var list []plot.Tick
	last := ""
	for _, p := range r.Timeline {
		if p.Phase != last && last != "" {
			list = append(list, plot.Tick{At: p.At - p.Span, Text: p.Phase})
		}
		last = p.Phase
	}
	return list
}

// percentilePlot draws how latency grows towards the rare cases.
func percentilePlot(list []*Result) plot.Lines {
	l := plot.Lines{
		Title: "Latency by percentile",
		Y:     plot.Axis{Log: true, Show: func(v float64) string { return hist.Show(int64(v)) }},
		X: plot.Axis{Label: "percentile", Ticks: []plot.Tick{
			{At: 0, Text: "0"}, {At: math.Log10(2), Text: "50"}, {At: 1, Text: "90"}, {At: 2, Text: "99"}, {At: 3, Text: "99.9"},
			{At: 4, Text: "99.99"}, {At: 5, Text: "99.999"}, {At: 6, Text: "99.9999"}}},
	}
	for _, r := range list {
		h := r.Histograms.Latency
		s := plot.Series{Name: r.Label()}
		if n := h.Count(); n > 0 {
			end := math.Log10(float64(n))
			for x := 0.0; x < end; x += 0.02 {
				s.X, s.Y = append(s.X, x), append(s.Y, above0(h.Quantile(1-math.Pow(10, -x))))
			}
			s.X, s.Y = append(s.X, end), append(s.Y, above0(h.Max()))
		}
		l.Series = append(l.Series, s)
	}
	return l
}

// sideBySide are the plots of a comparison.
func sideBySide(list []*Result) []template.HTML {
	out := draw([]plot.Lines{percentilePlot(list)})
	for _, x := range []struct{ name, title string }{
		{"deliveries/s", "Deliveries a second"},
		{"p50", "Latency, p50"},
		{"p99", "Latency, p99"},
		{"p99.9", "Latency, p99.9"},
		{"server.cpu/delivery", "Server's processor time per delivery"},
		{"server.rss/stream", "Server's memory per stream"},
		{"lost", "Lost events"},
		{"disorder", "Events out of order"},
	} {
		m := metricNamed(x.name)
		b := plot.Bars{Title: x.title, Show: m.unit.show}
		for _, r := range list {
			b.Names = append(b.Names, r.Label())
			b.Value = append(b.Value, m.get(r))
		}
		if svg := b.SVG(); svg != "" {
			out = append(out, template.HTML(svg)) // made by plot, which escapes all text
		}
	}
	return out
}
