package run

import (
	"context"
	"time"

	"github.com/spatehub/spate/loadtest/internal/probe"
	"github.com/spatehub/spate/loadtest/internal/publish"
	"github.com/spatehub/spate/loadtest/internal/report"
)

// maxPoints bounds the timeline: beyond it, two neighbours become one.
const maxPoints = 7200

// point ends an interval of the timeline.
func (t *test) point(now time.Time) {
	span := now.Sub(t.lastAt)
	if span <= 0 {
		return
	}
	own := probe.OwnCPU()
	srv := readServer(context.Background(), t.server)
	p := report.Point{
		At:         now.Sub(t.started).Seconds(),
		Span:       span.Seconds(),
		Phase:      t.phase,
		Open:       t.sum.Open(),
		Opened:     t.part.Opened,
		Published:  t.partPub.Events,
		Deliveries: t.part.Deliveries,
		Bytes:      t.part.Bytes,
		Events:     t.part.Events,
		Silences:   t.part.Silences,
		Faults:     t.part.Duplicates + t.part.Disorder + t.part.Misaddressed + t.part.Corrupt + t.part.IDDisorder + t.part.IDMissing + t.part.IDDuplicates,
		Reconnects: t.part.Opened - t.newOpened(),
		Completed:  t.part.Completed,
		Truncated:  t.part.Truncated,
		Tokens:     t.part.Tokens,
		DelayP99:   t.part.Delay.Quantile(0.99),
		TokenP50:   t.part.Token.Quantile(0.5),
		TokenP99:   t.part.Token.Quantile(0.99),
		GapMax:     t.part.Gap.Max(),
		P50:        t.part.Latency.Quantile(0.5),
		P99:        t.part.Latency.Quantile(0.99),
		Max:        t.part.Latency.Max(),
		ServerRSS:  srv.RSS,
		TesterCPU:  (own - t.lastOwn + time.Duration(t.part.CPU)).Seconds() / span.Seconds(),
	}
	for _, n := range t.part.Errors {
		p.Errors += n
	}
	for _, n := range t.partPub.Errors {
		p.Errors += n
	}
	if srv.CPU > 0 && t.lastSrv.CPU > 0 {
		p.ServerCPU = (srv.CPU - t.lastSrv.CPU).Seconds() / span.Seconds()
	}
	if t.phase == "publish" && t.part.Span > 0 {
		t.busy.peak = max(t.busy.peak, float64(t.part.Busy)/float64(t.part.Span))
	}
	t.peakRSS = max(t.peakRSS, srv.RSS)
	if n := len(t.timeline); n > 0 && span < t.cfg.Interval/4 {
		// The end of a run: too short for rates of its own.
		t.timeline = append(t.timeline[:n-1], join(t.timeline[n-1], p))
	} else {
		t.timeline = append(t.timeline, p)
	}
	if len(t.timeline) > maxPoints {
		t.timeline = halve(t.timeline)
	}
	if t.watch != nil {
		t.watch(p, &t.sum)
	}
	t.lastAt, t.lastOwn, t.lastSrv = now, own, srv
	t.part.Reset()
	t.partPub = publish.Stats{}
}

// newOpened is how many of the streams opened in the interval were opened for the
// first time.
func (t *test) newOpened() int64 {
	if t.cfg.Finite {
		return t.part.Opened
	}
	n := min(t.part.Opened, int64(t.cfg.Streams)-t.firstOpened)
	t.firstOpened += n
	return n
}

// halve joins neighbours of a timeline that has grown too long.
func halve(list []report.Point) []report.Point {
	var out []report.Point
	for i := 0; i+1 < len(list); i += 2 {
		out = append(out, join(list[i], list[i+1]))
	}
	if len(list)%2 == 1 {
		out = append(out, list[len(list)-1])
	}
	return out
}

// join makes one interval of a and the next, b. Percentiles become the higher
// of the two.
func join(a, b report.Point) report.Point {
	b.Phase = a.Phase
	b.Opened += a.Opened
	b.Published += a.Published
	b.Deliveries += a.Deliveries
	b.Bytes += a.Bytes
	b.Errors += a.Errors
	b.Events += a.Events
	b.Silences += a.Silences
	b.Faults += a.Faults
	b.Reconnects += a.Reconnects
	b.Completed += a.Completed
	b.Truncated += a.Truncated
	b.Tokens += a.Tokens
	b.DelayP99, b.GapMax = max(a.DelayP99, b.DelayP99), max(a.GapMax, b.GapMax)
	b.TokenP50, b.TokenP99 = max(a.TokenP50, b.TokenP50), max(a.TokenP99, b.TokenP99)
	b.P50, b.P99, b.Max = max(a.P50, b.P50), max(a.P99, b.P99), max(a.Max, b.Max)
	b.ServerCPU = (a.ServerCPU*a.Span + b.ServerCPU*b.Span) / (a.Span + b.Span)
	b.TesterCPU = (a.TesterCPU*a.Span + b.TesterCPU*b.Span) / (a.Span + b.Span)
	b.Span += a.Span
	return b
}
