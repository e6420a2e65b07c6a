// Package plot draws line and bar plots as SVG, with nothing but text: no
// script, no font, no resource from elsewhere. Colours come from the page's CSS
// variables --s0 to --s7, so that a plot follows its light or dark scheme.
package plot

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Series is one line.
type Series struct {
	Name string
	X, Y []float64 // of the same length; NaN leaves a hole
}

// Axis says how values are placed and written.
type Axis struct {
	Label string
	Log   bool                   // powers of ten at even distances; values must be above 0
	Show  func(v float64) string // nil: plain numbers
	Ticks []Tick                 // instead of computed ones
}

// Tick is one mark of an axis.
type Tick struct {
	At   float64
	Text string
}

// Lines is a plot with any number of series on common axes.
type Lines struct {
	Title  string
	X, Y   Axis
	Series []Series
	Marks  []Tick // vertical lines with a text
}

const (
	width, height            = 720.0, 260.0
	narrow                   = 340.0 // a phone's width
	left, right, top, bottom = 74.0, 14.0, 34.0, 40.0
	plotHeight               = height - top - bottom
	seriesColors             = 8
	maxDrawn                 = 1200 // points of one line
)

// SVG draws the plot, of class wide. A plot without points is an empty string.
func (l Lines) SVG() string { return l.draw(width, "wide") }

// Narrow draws it for a phone, with text of the same size, of class narrow.
func (l Lines) Narrow() string { return l.draw(narrow, "narrow") }

func (l Lines) draw(width float64, class string) string {
	plotWidth := width - left - right
	xs, ys := newScale(l.X, plotWidth), newScale(l.Y, plotHeight)
	for _, s := range l.Series {
		for i := range s.X {
			xs.include(s.X[i])
			ys.include(s.Y[i])
		}
	}
	if xs.empty() || ys.empty() {
		return ""
	}
	if !l.Y.Log {
		ys.include(0)
	}
	xs.settle()
	ys.settle()
	var b strings.Builder
	begin(&b, l.Title, class, width, height)
	l.axes(&b, xs, ys)
	for i, s := range l.Series {
		path := path(s, xs, ys)
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="var(--s%d)" stroke-width="1.8" stroke-linejoin="round"/>`, path, i%seriesColors)
	}
	legend(&b, l.Series, width)
	b.WriteString("</svg>")
	return b.String()
}

// Empty reports whether there is nothing but zeros to draw.
func (l Lines) Empty() bool {
	for _, s := range l.Series {
		for _, y := range s.Y {
			if y != 0 && !math.IsNaN(y) {
				return false
			}
		}
	}
	return true
}

func begin(b *strings.Builder, title, class string, width, h float64) {
	fmt.Fprintf(b, `<svg class="%s" viewBox="0 0 %.0f %.0f" role="img" aria-label="%s" xmlns="http://www.w3.org/2000/svg">`, class, width, h, html.EscapeString(title))
	fmt.Fprintf(b, `<text class="pt" x="0" y="14">%s</text>`, html.EscapeString(title))
}

// axes draws the frame, the ticks and the marks.
func (l Lines) axes(b *strings.Builder, xs, ys *scale) {
	plotWidth := xs.length
	for _, t := range ys.ticks(5) {
		y := top + plotHeight - ys.at(t.At)
		fmt.Fprintf(b, `<line class="pg" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, left, left+plotWidth, y, y)
		fmt.Fprintf(b, `<text class="pl" x="%.1f" y="%.1f" text-anchor="end">%s</text>`, left-6, y+4, html.EscapeString(t.Text))
	}
	for _, t := range xs.ticks(int(plotWidth / 75)) {
		x := left + xs.at(t.At)
		fmt.Fprintf(b, `<line class="pg" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, x, x, top, top+plotHeight)
		fmt.Fprintf(b, `<text class="pl" x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, x, top+plotHeight+15, html.EscapeString(t.Text))
	}
	for _, m := range l.Marks {
		if x := left + xs.at(m.At); x >= left && x <= left+plotWidth {
			fmt.Fprintf(b, `<line class="pm" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, x, x, top, top+plotHeight)
			anchor, at := "start", x+3
			if x > left+plotWidth*0.9 {
				anchor, at = "end", x-3
			}
			fmt.Fprintf(b, `<text class="pl" x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, at, top+10, anchor, html.EscapeString(m.Text))
		}
	}
	if l.X.Label != "" {
		fmt.Fprintf(b, `<text class="pl" x="%.1f" y="%.1f" text-anchor="end">%s</text>`, left+plotWidth, height-6, html.EscapeString(l.X.Label))
	}
}

// legend names the series at the upper right, if there are several.
func legend(b *strings.Builder, list []Series, width float64) {
	if len(list) < 2 {
		return
	}
	x := width - right
	for i := len(list) - 1; i >= 0; i-- {
		w := 6.6*float64(len([]rune(list[i].Name))) + 26
		x -= w
		fmt.Fprintf(b, `<rect x="%.1f" y="20" width="12" height="3" fill="var(--s%d)"/>`, x, i%seriesColors)
		fmt.Fprintf(b, `<text class="pl" x="%.1f" y="25">%s</text>`, x+16, html.EscapeString(list[i].Name))
	}
}

// path writes one line. Of very many points only the extremes of each column
// are drawn.
func path(s Series, xs, ys *scale) string {
	var b strings.Builder
	pen := "M"
	step := max(1, len(s.X)/maxDrawn)
	for i := 0; i < len(s.X); i += step {
		hi := i
		for k := i; k < min(i+step, len(s.X)); k++ {
			if s.Y[k] > s.Y[hi] {
				hi = k
			}
		}
		if math.IsNaN(s.Y[hi]) || ys.axis.Log && s.Y[hi] <= 0 {
			pen = "M"
			continue
		}
		fmt.Fprintf(&b, "%s%.1f %.1f", pen, left+xs.at(s.X[hi]), top+plotHeight-ys.at(s.Y[hi]))
		pen = "L"
	}
	return b.String()
}

// scale places values on an axis of a given length.
type scale struct {
	axis   Axis
	length float64
	lo, hi float64
}

func newScale(a Axis, length float64) *scale {
	return &scale{axis: a, length: length, lo: math.Inf(1), hi: math.Inf(-1)}
}

func (s *scale) include(v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) || s.axis.Log && v <= 0 {
		return
	}
	s.lo, s.hi = min(s.lo, v), max(s.hi, v)
}

func (s *scale) empty() bool { return s.lo > s.hi }

// settle widens the range to something that can be drawn.
func (s *scale) settle() {
	if s.axis.Log {
		s.lo = math.Pow(10, math.Floor(math.Log10(s.lo)))
		s.hi = math.Pow(10, math.Ceil(math.Log10(s.hi)))
		if s.lo == s.hi {
			s.hi *= 10
		}
		return
	}
	if s.lo == s.hi {
		s.hi = s.lo + 1
	}
}

func (s *scale) at(v float64) float64 {
	if s.axis.Log {
		return s.length * math.Log10(v/s.lo) / math.Log10(s.hi/s.lo)
	}
	return s.length * (v - s.lo) / (s.hi - s.lo)
}

// ticks returns about n marks at round values.
func (s *scale) ticks(n int) []Tick {
	if s.axis.Ticks != nil {
		var in []Tick
		for _, t := range s.axis.Ticks {
			if t.At >= s.lo && t.At <= s.hi {
				in = append(in, t)
			}
		}
		return in
	}
	var list []Tick
	if s.axis.Log {
		for v := s.lo; v <= s.hi*1.0001; v *= 10 {
			list = append(list, Tick{v, s.text(v)})
		}
		return list
	}
	step := roundStep((s.hi - s.lo) / float64(n))
	for v := math.Ceil(s.lo/step) * step; v <= s.hi+step*1e-9; v += step {
		if math.Abs(v) < step*1e-9 {
			v = 0
		}
		list = append(list, Tick{v, s.text(v)})
	}
	return list
}

func (s *scale) text(v float64) string {
	if s.axis.Show != nil {
		return s.axis.Show(v)
	}
	return Short(v)
}

// roundStep is the next 1, 2 or 5 times a power of ten.
func roundStep(v float64) float64 {
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if v <= m*p {
			return m * p
		}
	}
	return 10 * p
}

// Short writes a number with a suffix: 1.5k, 20M.
func Short(v float64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if math.Abs(v) >= u.size {
			return trim(v/u.size) + u.name
		}
	}
	return trim(v)
}

func trim(v float64) string {
	s := fmt.Sprintf("%.2f", v)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

// Bars is a plot of one horizontal bar for each name.
type Bars struct {
	Title string
	Names []string
	Value []float64
	Show  func(v float64) string
}

// SVG draws the plot.
func (p Bars) SVG() string {
	const row, label = 24.0, 190.0
	top := 0.0
	for _, v := range p.Value {
		top = max(top, v)
	}
	if top == 0 {
		return ""
	}
	var b strings.Builder
	h := 28 + row*float64(len(p.Names))
	begin(&b, p.Title, "", width, h)
	for i, name := range p.Names {
		y := 26 + row*float64(i)
		w := (width - label - 90) * p.Value[i] / top
		fmt.Fprintf(&b, `<text class="pl" x="%.1f" y="%.1f" text-anchor="end">%s</text>`, label-8, y+12, html.EscapeString(clip(name, 28)))
		fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="16" rx="2" fill="var(--s%d)"/>`, label, y, max(w, 1), i%seriesColors)
		fmt.Fprintf(&b, `<text class="pl" x="%.1f" y="%.1f">%s</text>`, label+w+6, y+12, html.EscapeString(p.Show(p.Value[i])))
	}
	b.WriteString("</svg>")
	return b.String()
}

func clip(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}
