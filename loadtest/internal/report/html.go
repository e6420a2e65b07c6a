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
		for _, v := range []int64{s.P50, s.P95, s.P99, s.P999, s.P9999, s.Max, s.Mean} {
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
	Unlike  []string
	Plots   []template.HTML
	Invalid []string
}

// pageRun is a single run prepared for the page.
type pageRun struct {
	*Result
	Cards      []card
	Checks     string
	Sound      bool
	Checked    bool
	Text       string // the table as text
	ConfigText string // as JSON
	Summaries  []NamedSummary
}

type card struct{ Name, Value, Note string }

// HTML writes one run, or several side by side, as a page that needs nothing
// else.
func HTML(w io.Writer, series ...Series) error {
	var list []*Result
	for _, s := range series {
		list = append(list, s.Median())
	}
	d := pageData{Runs: list, Title: list[0].Label()}
	if len(list) == 1 {
		d.One = single(list[0])
		d.Plots = timelines(list[0])
	} else {
		d.Title = fmt.Sprintf("%d runs", len(list))
		d.Rows, d.Unlike = compareRows(series), unlike(series)
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
	}
	p.Sound, p.Checked = r.Checks.Sound()
	p.Cards = []card{
		{"streams", group(r.Streams.Peak), "open at the same time"},
	}
	if !r.Deliveries.Unchecked {
		p.Cards = append(p.Cards, card{"deliveries", showRate(r.Deliveries.PerSecond), group(r.Deliveries.Count) + " in all"})
	}
	p.Cards = append(p.Cards, r.moreCards()...)
	if l := r.Latency; l.Count > 0 {
		p.Cards = append(p.Cards, card{"p50", hist.Show(l.P50), "due time to receipt"}, card{"p99", hist.Show(l.P99), ""},
			card{"p99.9", hist.Show(l.P999), ""}, card{"max", hist.Show(l.Max), ""})
	}
	if s := r.Server; s != nil {
		p.Cards = append(p.Cards,
			card{"server", s.perDelivery(), "per delivery"},
			card{"memory", showBytes(float64(s.RSSPeak)), s.perStream("")})
	}
	return p
}

// moreCards are the tiles of deployments that publish by themselves, and of finite
// streams.
func (r *Result) moreCards() []card {
	var list []card
	if c := r.Completions; c != nil {
		list = append(list, card{"completions", showRate(c.PerSecond), group(c.Completed) + " in all"}, card{"truncated", group(c.Truncated), ""},
			card{"tokens", showRate(c.TokensPerSecond), group(c.Tokens) + " in all"},
			card{"first token", c.Token.Show(c.Token.P50), "p99 " + c.Token.Show(c.Token.P99)},
			card{"between tokens", c.Between.Show(c.Between.P50), "p99 " + c.Between.Show(c.Between.P99)})
		return list
	}
	if e := r.Events; e.Observed {
		list = append(list, card{"events", showRate(e.PerSecond), group(e.Count) + " in all"}, card{"data", showBytes(float64(e.DataBytes)), ""},
			card{"first event", e.First.Show(e.First.P50), "p99 " + e.First.Show(e.First.P99)},
			card{"longest silence", hist.Show(e.Silence), silenceNote(r)},
			card{"gap", e.Gap.Show(e.Gap.P50), "p99 " + e.Gap.Show(e.Gap.P99)})
		if r.Config.TimeFrom != "" {
			list = append(list, card{"delay", e.Delay.Show(e.Delay.P50), "p99 " + e.Delay.Show(e.Delay.P99)})
		}
	}
	return list
}

func silenceNote(r *Result) string {
	if r.Config.Silence == 0 {
		return ""
	}
	return fmt.Sprintf("%s above %s", group(r.Events.Silences), r.Config.Silence)
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
	cpu := []plot.Series{line("tester", func(p Point) float64 { return p.TesterCPU })}
	if r.Server != nil {
		cpu = append(cpu, line("server", func(p Point) float64 { return p.ServerCPU }))
	}
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
		{Title: "Processors in use", X: seconds, Marks: marks, Series: cpu},
	}
	perSecond := func(title, name string, get func(p Point) int64) plot.Lines {
		return plot.Lines{Title: title, X: seconds, Marks: marks, Series: []plot.Series{
			line(name, func(p Point) float64 { return float64(get(p)) / p.Span })}}
	}
	list = append(list,
		plot.Lines{Title: "Faults in each interval, but for loss", X: seconds, Marks: marks, Series: []plot.Series{
			line("faults", func(p Point) float64 { return float64(p.Faults) })}},
		plot.Lines{Title: "Reconnects in each interval", X: seconds, Marks: marks, Series: []plot.Series{
			line("reconnects", func(p Point) float64 { return float64(p.Reconnects) })}})
	if r.Events.Observed {
		list = append(list, perSecond("Events a second", "events/s", func(p Point) int64 { return p.Events }),
			plot.Lines{Title: "Longest gap between events in each interval", X: seconds, Y: delay, Marks: marks, Series: []plot.Series{
				line("gap", func(p Point) float64 { return above0(p.GapMax) })}})
	}
	if r.Events.Delay.Count > 0 {
		list = append(list, plot.Lines{Title: "Delay by the time in the data, p99", X: seconds, Y: delay, Marks: marks, Series: []plot.Series{
			line("delay", func(p Point) float64 { return above0(p.DelayP99) })}})
	}
	if r.Completions != nil {
		list = append(list, perSecond("Completions a second", "completions/s", func(p Point) int64 { return p.Completed }),
			perSecond("Tokens a second", "tokens/s", func(p Point) int64 { return p.Tokens }),
			plot.Lines{Title: "Time to first token", X: seconds, Y: delay, Marks: marks, Series: []plot.Series{
				line("p50", func(p Point) float64 { return above0(p.TokenP50) }),
				line("p99", func(p Point) float64 { return above0(p.TokenP99) })}})
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
		if l.Empty() {
			continue
		}
		if svg := l.SVG(); svg != "" {
			out = append(out, template.HTML(svg+l.Narrow())) // made by plot, which escapes all text
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

// phaseMarks marks where phases begin, and what was done when.
func phaseMarks(r *Result) []plot.Tick {
	var list []plot.Tick
	last := ""
	for _, p := range r.Timeline {
		if p.Phase != last && last != "" {
			list = append(list, plot.Tick{At: p.At - p.Span, Text: p.Phase})
		}
		last = p.Phase
	}
	for _, m := range r.Marks {
		list = append(list, plot.Tick{At: m.At, Text: m.Text})
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
		m, _ := metricNamed(x.name)
		b := plot.Bars{Title: x.title, Show: m.unit.show}
		for _, r := range list {
			if f := m.get(r); f.known {
				b.Names = append(b.Names, r.Label())
				b.Value = append(b.Value, f.v)
			}
		}
		if svg := b.SVG(); svg != "" {
			out = append(out, template.HTML(svg)) // made by plot, which escapes all text
		}
	}
	return out
}
