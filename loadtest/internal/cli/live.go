package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"

	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/hist"
	"github.com/spatehub/spate/loadtest/internal/report"
	"github.com/spatehub/spate/loadtest/internal/session"
)

// sparkWidth is the number of intervals that a sparkline shows.
const sparkWidth = 60

// view shows one run while it goes on: a few lines that are drawn over on a terminal,
// a line for each interval elsewhere. It is for one goroutine at a time.
type view struct {
	w     io.Writer
	cfg   *config.Config
	tty   bool
	color bool
	drawn int       // lines on the terminal that are drawn over next
	rates []float64 // deliveries a second of the last intervals
	p99s  []float64
	since time.Time // publishing began
}

// newView returns a view on w, which is drawn over if it is a terminal.
func newView(w io.Writer, c *config.Config) *view {
	v := &view{w: w, cfg: c}
	if f, ok := w.(*os.File); ok {
		v.tty = isatty.IsTerminal(f.Fd()) && os.Getenv("TERM") != "dumb"
	}
	v.color = v.tty && os.Getenv("NO_COLOR") == ""
	return v
}

// point shows one interval.
func (v *view) point(p report.Point, s *session.Stats) {
	rate := float64(p.Deliveries) / p.Span
	if p.Phase == "publish" && v.since.IsZero() {
		v.since = time.Now().Add(-time.Duration(p.Span * float64(time.Second)))
	}
	v.rates = keep(append(v.rates, rate))
	v.p99s = keep(append(v.p99s, float64(p.P99)))
	if v.tty {
		v.draw(p, s, rate)
	} else {
		v.line(p, s, rate)
	}
}

func keep(list []float64) []float64 { return list[max(0, len(list)-sparkWidth):] }

// line writes one interval as a line.
func (v *view) line(p report.Point, s *session.Stats, rate float64) {
	fmt.Fprintf(v.w, "%7.1fs %-7s open %d, published %.0f/s, received %.0f/s, p50 %s, p99 %s, max %s%s%s\n",
		p.At, p.Phase, p.Open, float64(p.Published)/p.Span, rate, delay(p.P50), delay(p.P99), delay(p.Max), faults(s), serverNow(p))
}

// delay writes a delay; nothing is delivered in no time, so 0 was not measured.
func delay(ns int64) string {
	if ns == 0 {
		return "–"
	}
	return hist.Show(ns)
}

func faults(s *session.Stats) string {
	var b strings.Builder
	for _, x := range []struct {
		n    int64
		what string
	}{
		{s.Duplicates, "doubled"}, {s.Disorder, "out of order"}, {s.Misaddressed, "misaddressed"}, {s.Corrupt, "corrupt"}, {s.Gaps, "gap events"},
	} {
		if x.n > 0 {
			fmt.Fprintf(&b, ", %d %s", x.n, x.what)
		}
	}
	if n := report.Kinds(s.Errors).Total(); n > 0 {
		fmt.Fprintf(&b, ", %d errors", n)
	}
	return b.String()
}

func serverNow(p report.Point) string {
	if p.ServerRSS == 0 {
		return ""
	}
	return fmt.Sprintf(", server %.2f cpu %d MiB", p.ServerCPU, p.ServerRSS>>20)
}

// draw replaces the lines drawn before.
func (v *view) draw(p report.Point, s *session.Stats, rate float64) {
	lines := []string{
		fmt.Sprintf("%s %s", v.paint("1", fmt.Sprintf("%-8s", p.Phase)), v.progress(p)),
		fmt.Sprintf("streams  %d of %d open, %d connects, %d resumed, tester %.2f cpu%s", p.Open, v.cfg.Streams, s.Connects, s.Resumed, p.TesterCPU, serverNow(p)),
		fmt.Sprintf("rates    published %.0f/s, received %.0f/s, %.1f MiB/s", float64(p.Published)/p.Span, rate, float64(p.Bytes)/p.Span/(1<<20)),
		fmt.Sprintf("now      p50 %s  p99 %s  max %s", delay(p.P50), delay(p.P99), delay(p.Max)),
		fmt.Sprintf("so far   p50 %s  p99 %s  p99.9 %s  max %s", delay(s.Latency.Quantile(.5)), delay(s.Latency.Quantile(.99)), delay(s.Latency.Quantile(.999)), delay(s.Latency.Max())),
		"received " + v.paint("36", sparkline(v.rates)),
		"p99      " + v.paint("33", sparkline(v.p99s)),
	}
	if f := faults(s); f != "" {
		lines = append(lines, v.paint("31", "faults   "+strings.TrimPrefix(f, ", ")))
	}
	var b strings.Builder
	if v.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", v.drawn)
	}
	for _, l := range lines {
		b.WriteString(l + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	v.drawn = len(lines)
	fmt.Fprint(v.w, b.String())
}

func (v *view) paint(code, text string) string {
	if !v.color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// progress is a bar for the part of the phase that is over.
func (v *view) progress(p report.Point) string {
	const cells = 40
	done, text := 0.0, ""
	switch p.Phase {
	case "ramp":
		done = float64(p.Open) / float64(max(v.cfg.Streams, 1))
		text = fmt.Sprintf("%.0f s", p.At)
	case "publish":
		past := time.Since(v.since)
		done = past.Seconds() / v.cfg.Duration.Seconds()
		text = fmt.Sprintf("%s of %s", past.Round(time.Second), v.cfg.Duration)
	default:
		return ""
	}
	n := int(min(max(done, 0), 1) * cells)
	return "[" + strings.Repeat("█", n) + strings.Repeat("·", cells-n) + "] " + text
}

// sparkline draws values as a row of small bars from 0 to the highest.
func sparkline(values []float64) string {
	bars := []rune("▁▂▃▄▅▆▇█")
	top := 0.0
	for _, x := range values {
		top = max(top, x)
	}
	var b strings.Builder
	for _, x := range values {
		i := 0
		if top > 0 {
			i = int(x / top * float64(len(bars)-1))
		}
		b.WriteRune(bars[max(i, 0)])
	}
	return b.String()
}
