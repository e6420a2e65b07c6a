package run

import (
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/spatehub/spate/loadtest/internal/hist"
	"github.com/spatehub/spate/loadtest/internal/probe"
	"github.com/spatehub/spate/loadtest/internal/report"
)

// result puts the figures together.
func (t *test) result(expects []report.Expect) *report.Result {
	s, f := &t.sum, &t.final
	r := &report.Result{
		Version:     report.Version,
		Name:        t.cfg.Name,
		Started:     t.started,
		Interrupted: t.broken,
		Machine:     probe.ThisMachine(),
		Tool:        probe.ThisTool(),
		Software:    t.software,
		Config:      *t.cfg,
		Latency:     s.Latency.Summary(),
		Connect:     s.Connect.Summary(),
		TTFB:        s.TTFB.Summary(),
		Resume:      s.Resume.Summary(),
		Errors:      report.Kinds(s.Errors),
		Timeline:    t.timeline,
		Histograms: report.Histograms{
			Latency: s.Latency, Connect: s.Connect, TTFB: s.TTFB, Resume: s.Resume,
			Push: t.pubSum.Push, Behind: t.pubSum.Behind, Lag: s.Lag,
			First: s.First, Gap: s.Gap, Delay: s.Delay, Token: s.Token, Between: s.Between, Whole: s.Whole,
		},
	}
	t.rates(r)
	r.Streams = report.Streams{
		Wanted: t.cfg.Streams, Peak: t.peakOpen, NeverOpen: f.NeverOpen, Offline: f.Offline, SentAway: f.SentAway,
		Connects: s.Connects, Opened: s.Opened, Resumed: s.Resumed, Dropped: s.Dropped, Disconnects: s.Disconnects,
	}
	r.Checks = report.Checks{
		Lost: f.Loss.Total(), LostAtJoin: f.Loss.AtJoin, LostTail: f.Loss.Tail,
		Duplicates: s.Duplicates, Disorder: s.Disorder, Misaddressed: s.Misaddressed, Corrupt: s.Corrupt,
		IDDisorder: s.IDDisorder, IDSwapped: s.IDSwapped, IDMissing: s.IDMissing, Gaps: s.Gaps, Unread: f.Unread, MissedAway: f.Loss.Away,
		Unchecked: t.unchecked(), Elsewhere: !t.cfg.Publish, NoIDs: !t.cfg.CheckIDs || t.cfg.Observe(),
	}
	if t.cfg.Streams > 0 && t.cfg.Try && !t.cfg.Finite {
		r.Streams.Tried = 1
	}
	for _, storm := range t.cfg.Storms {
		if at := t.sinceStart(t.begin) + storm.At.Seconds(); t.begin > 0 && at <= t.sinceStart(t.pubEnd) {
			r.Marks = append(r.Marks, report.Mark{At: at, Text: fmt.Sprintf("storm %.3g %%", storm.Share*100)})
		}
	}
	for _, l := range t.cfg.Marks {
		if at := t.sinceStart(t.begin) + l.At.Seconds(); t.begin > 0 && at <= t.sinceStart(t.pubEnd) {
			r.Marks = append(r.Marks, report.Mark{At: at, Text: l.Text})
		}
	}
	t.groups(r)
	t.observed(r)
	t.completions(r)
	t.costs(r)
	t.judge(r)
	if t.aborted.Text != "" {
		r.Verdict.Expectations = append(r.Verdict.Expectations, t.aborted)
	}
	for _, e := range expects {
		r.Verdict.Expectations = append(r.Verdict.Expectations, e.Check(r))
	}
	return r
}

// unchecked reports whether nothing was there that a stamp could have told of.
func (t *test) unchecked() bool {
	s := &t.sum
	seen := s.Deliveries + s.Duplicates + s.Misaddressed + s.Corrupt
	return seen == 0 && (t.cfg.Streams == 0 || t.pubSum.Events == 0)
}

// groups fills in what is known of each group of streams.
func (t *test) groups(r *report.Result) {
	for g, x := range t.cfg.Groups {
		from, to := t.cfg.GroupStreams(g)
		got := t.sum.Group(g)
		f := report.Group{Name: x.Name, Streams: to - from, Deliveries: got.Deliveries, Latency: got.Latency.Summary()}
		if g < len(t.final.GroupLost) {
			f.Lost = t.final.GroupLost[g]
		}
		r.Groups = append(r.Groups, f)
	}
}

// abortNow reports whether a condition of -abort holds, and notes it.
func (t *test) abortNow() bool {
	if len(t.abort) == 0 || t.aborted.Text != "" {
		return t.aborted.Text != ""
	}
	t.seconds.Publish = time.Duration(t.clock.Now() - t.begin).Seconds()
	t.pubEnd = t.clock.Now()
	r := t.result(nil)
	for _, a := range t.abort {
		if x := a.Check(r); x.OK {
			t.aborted = report.Expectation{Text: "not " + x.Text, Got: "aborted at " + x.Got}
			return true
		}
	}
	return false
}

// sinceStart is a moment of the run's clock in seconds since the run began.
func (t *test) sinceStart(at int64) float64 {
	return time.Duration(at - t.started.UnixNano()).Seconds()
}

// observed fills in what is known of events without a stamp.
func (t *test) observed(r *report.Result) {
	s, f := &t.sum, &t.final
	e := &r.Events
	*e = report.Events{
		Count: s.Events, DataBytes: s.DataBytes, Comments: s.Comments, First: s.First.Summary(),
	}
	if span := r.Seconds.Publish + r.Seconds.Drain + r.Seconds.Settle; span > 0 {
		e.PerSecond = float64(s.Events) / span
	}
	if !t.cfg.Observe() {
		return
	}
	e.Observed = true
	e.Gap, e.Delay = s.Gap.Summary(), s.Delay.Summary()
	e.Silence = max(s.Silence, f.Silence)
	e.Silences = s.Silences + int64(f.Silent)
	e.Silent = f.Silent
	e.IDDuplicates, e.IDDisorder = s.IDDuplicates, s.IDDisorder
	e.DelayNone, e.DelayAhead = s.DelayNone, s.DelayAhead
	e.Types = map[string]report.EventType{}
	for name, x := range s.Types {
		if x.Events > 0 {
			e.Types[name] = report.EventType{Events: x.Events, DataBytes: x.Bytes, Delay: x.Delay.Summary()}
		}
	}
}

// completions fills in how finite streams went.
func (t *test) completions(r *report.Result) {
	if !t.cfg.Finite {
		return
	}
	s := &t.sum
	c := &report.Completions{
		Completed: s.Completed, Truncated: s.Truncated, Refused: s.Refused, Unstarted: s.Unstarted, Unfinished: t.final.Unfinished, Tokens: s.Tokens,
		Token: s.Token.Summary(), Between: s.Between.Summary(), Whole: s.Whole.Summary(),
	}
	if span := r.Seconds.Publish + r.Seconds.Drain; span > 0 {
		c.PerSecond, c.TokensPerSecond = float64(s.Completed)/span, float64(s.Tokens)/span
	}
	r.Completions = c
}

// rates fills in what was published and received, and how fast.
func (t *test) rates(r *report.Result) {
	s := &t.sum
	r.Seconds = t.seconds
	from := t.begin + int64(t.cfg.WarmUp)
	if t.begin > 0 {
		r.Seconds.Window = max(0, time.Duration(max(t.pubEnd, s.LastDelivery)-from).Seconds())
	}
	r.Deliveries = report.Deliveries{
		Count: s.Deliveries, Expected: uint64(s.Deliveries) + t.final.Loss.Total(), Replayed: s.Replayed, WarmUp: s.WarmUp,
		Bytes: s.Bytes, Events: s.Events, Foreign: s.Foreign, Comments: s.Comments, Unchecked: t.unchecked(),
	}
	if r.Seconds.Window > 0 {
		r.Deliveries.PerSecond = float64(s.Deliveries-s.WarmUp) / r.Seconds.Window
	}
	if span := time.Duration(max(t.pubEnd, s.LastDelivery) - t.begin).Seconds(); t.begin > 0 && span > 0 {
		r.Deliveries.BytesPerSecond = float64(s.Bytes) / span
	}
	p := &t.pubSum
	r.Published = report.Published{
		Events: p.Events, Bytes: p.Bytes, Requests: p.Requests, Failed: p.Failed, Errors: report.Kinds(p.Errors),
		Push: p.Push.Summary(), Behind: p.Behind.Summary(), Elsewhere: !t.cfg.Publish,
	}
	if t.seconds.Publish > 0 {
		r.Published.PerSecond = float64(p.Events) / t.seconds.Publish
	}
	if pace, err := t.cfg.Pacer(); err == nil && t.cfg.Publish {
		if w := averageRate(pace.Rate, t.cfg.Duration); !math.IsInf(w, 0) {
			r.Published.Wanted = w
		}
	}
}

// averageRate is the mean of a schedule's rate.
func averageRate(rate func(time.Duration) float64, span time.Duration) float64 {
	const steps = 1000
	var sum float64
	for i := range steps {
		sum += rate(span * time.Duration(2*i+1) / (2 * steps))
	}
	return sum / steps
}

// costs fills in what the run cost the server and the tester.
func (t *test) costs(r *report.Result) {
	s := &t.sum
	r.Tester = report.Tester{
		CPUSeconds: (probe.OwnCPU() + time.Duration(s.CPU)).Seconds(),
		Lag:        s.Lag.Summary(),
		Wake:       t.pubSum.Wake.Summary(),
		BusyPeak:   t.busy.peak,
		RSSPeak:    t.ownRSS,
	}
	if t.seconds.Publish > 0 {
		r.Tester.CPUShare = (t.ownEnd - t.ownBegin).Seconds() / t.seconds.Publish
	}
	if t.busy.span > 0 {
		r.Tester.Busy = float64(t.busy.busy) / float64(t.busy.span)
	}
	if t.server == nil || t.begin == 0 {
		return
	}
	cpu := (t.atEnd.CPU - t.atBegin.CPU).Seconds()
	r.Server = &report.Server{
		CPUSeconds: cpu, RSSIdle: t.idle.RSS, RSSOpen: t.atBegin.RSS, RSSPeak: max(t.peakRSS, t.atEnd.RSS), RSSEnd: t.atEnd.RSS,
	}
	if span := t.seconds.Publish + t.seconds.Drain; span > 0 {
		r.Server.CPUShare = cpu / span
	}
	if s.Deliveries > 0 {
		r.Server.CPUPerDeliver = cpu * 1e6 / float64(s.Deliveries)
	}
	if t.peakOpen > 0 && t.atBegin.RSS > t.idle.RSS {
		r.Server.KiBPerStream = float64(t.atBegin.RSS-t.idle.RSS) / 1024 / float64(t.peakOpen)
	}
}

// starved names the most likely cause of timers that were late.
func (t *test) starved(r *report.Result) string {
	have, used := runtime.NumCPU(), r.Tester.CPUShare
	where := fmt.Sprintf("it may use %d processor(s) and used %.2f of them while publishing", have, used)
	if used < 0.8*float64(have) {
		return where + ", so other processes, or the machine's other guests, kept it waiting: give it processors of its own"
	}
	return where + ", so it has more to do than they can: give it more processors, fewer streams, or a lower -rate"
}

// judge decides whether the figures count.
func (t *test) judge(r *report.Result) {
	v := &r.Verdict
	v.Warnings = slices.Clone(t.warnings)
	c := t.cfg
	invalid := func(format string, args ...any) { v.Invalid = append(v.Invalid, fmt.Sprintf(format, args...)) }
	warn := func(format string, args ...any) { v.Warnings = append(v.Warnings, fmt.Sprintf(format, args...)) }
	for _, i := range slices.Sorted(maps.Keys(t.gone)) {
		invalid("%v; nothing is known of its streams since, and loss is not counted", t.gone[i])
	}
	if limit := int64(c.MaxLag); limit > 0 {
		if r.Tester.Lag.P99 > limit {
			invalid("the load tester was starved of processor time: its own timers and event loops were late by %s at p99 (-max-lag %s); %s",
				hist.Show(r.Tester.Lag.P99), c.MaxLag, t.starved(r))
		}
		if r.Tester.Wake.P99 > limit {
			invalid("the publisher woke up late by %s at p99 (-max-lag %s), through no fault of the server; %s",
				hist.Show(r.Tester.Wake.P99), c.MaxLag, t.starved(r))
		}
	}
	if c.MaxBusy > 0 && r.Tester.Busy > c.MaxBusy {
		invalid("reading was the bottleneck: the event loops were busy %.0f %% of the time (-max-busy %.2f); use more -loops or -procs on free processors",
			r.Tester.Busy*100, c.MaxBusy)
	}
	if w := r.Published.Wanted; w > 0 && !r.Interrupted && c.Events == 0 && r.Published.PerSecond < 0.98*w {
		warn("published %.0f/s of the wanted %.0f/s: the push API, or %d -connections, could not take more (p99 of a push: %s); the delay is in the latency",
			r.Published.PerSecond, w, c.Connections, hist.Show(r.Published.Push.P99))
	} else if b := r.Published.Behind.P99; b > int64(5*time.Millisecond) && b > 2*r.Tester.Wake.P99 && c.Rate != "max" {
		warn("events were sent up to %s late at p99, because earlier pushes were not answered yet: more -connections show whether that is the server", hist.Show(b))
	}
	if c.Rate == "max" {
		warn("-rate max is a closed model: a slow server lowers the load, and the latency counts from the moment a publisher was free")
	}
	if t.final.Loss.Frozen > 0 {
		warn("some streams had so many holes that late events and doubles may be mistaken for each other")
	}
	if n := len(c.Agents); n > 0 {
		warn("%d agents held the streams; their clocks agree with this one within %s; times of resuming are not measured", n, hist.Show(t.unsure))
	}
	if c.Observe() && !c.Finite && r.Checks.Unchecked {
		warn("the events carry no stamp: loss, addressees and exact delays cannot be told (docs/loadtest.md: Stamping a service's own events)")
	}
	if e := r.Events; e.DelayAhead > 0 {
		warn("%d events were dated in the future: the clocks of the two machines differ, and all delays are off by that", e.DelayAhead)
	}
	if n := r.Events.Silences; n > 0 {
		warn("SILENCE: %d times a stream had no event for longer than %s; the longest was %s", n, c.Silence, hist.Show(r.Events.Silence))
	}
	if r.Published.Failed > 0 {
		warn("%d published events were not accepted; they are not counted as lost", r.Published.Failed)
	}
	if c.Streams > 0 && c.Publish && r.Deliveries.Count == 0 && r.Published.Events > 0 {
		warn("not one event arrived: do streams and publisher name the same targets? See -adapter and -url")
	}
	v.Valid = len(v.Invalid) == 0
}
