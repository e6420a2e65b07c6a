package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spatehub/spate/loadtest/internal/check"
	"github.com/spatehub/spate/loadtest/internal/fleet"
	"github.com/spatehub/spate/loadtest/internal/pacer"
	"github.com/spatehub/spate/loadtest/internal/probe"
	"github.com/spatehub/spate/loadtest/internal/session"
)

// forever is longer than any run.
const forever = 1 << 62

// lead is the time between telling everybody that publishing begins and the
// first event.
const lead = 20 * time.Millisecond

// conduct runs the phases one after the other.
func (t *test) conduct(ctx context.Context) error {
	t.lastAt, t.lastOwn = time.Now(), probe.OwnCPU()
	if !t.cfg.Finite { // each request opens its own stream, and counts
		if err := t.ramp(ctx); err != nil {
			return err
		}
		t.phase = "settle"
		settling := time.Now()
		if err := t.poll(ctx, t.cfg.Settle, t.cfg.Interval, nil, func() (bool, error) { return false, nil }); err != nil {
			return err
		}
		t.seconds.Settle = time.Since(settling).Seconds()
	}
	if ctx.Err() == nil {
		if err := t.publish(ctx); err != nil {
			return err
		}
	}
	t.broken = ctx.Err() != nil
	if err := t.drain(); err != nil {
		return err
	}
	if s := &t.sum; t.cfg.Finite && s.Opened == 0 && s.Refused > 0 && !t.broken {
		return fmt.Errorf("not one of %d requests was answered by an event stream: %s", s.Refused, kinds(s.Errors))
	}
	return nil
}

// look is how often the ramp and the drain look whether they are over.
const look = 100 * time.Millisecond

// poll collects every step until done says so, limit is over or ctx ends. wake,
// if not nil, makes it look at once.
func (t *test) poll(ctx context.Context, limit, step time.Duration, wake <-chan struct{}, done func() (bool, error)) error {
	end := time.Now().Add(limit)
	for {
		left := time.Until(end)
		if left <= 0 || ctx.Err() != nil {
			return t.collect()
		}
		wait := time.NewTimer(min(step, left))
		select {
		case <-wait.C:
		case <-wake:
		case <-ctx.Done():
		}
		wait.Stop()
		if err := t.collect(); err != nil {
			return err
		}
		if over, err := done(); over || err != nil {
			return err
		}
	}
}

// ramp opens the streams.
func (t *test) ramp(ctx context.Context) error {
	t.phase = "ramp"
	start := time.Now()
	if err := t.all(func(_ int, f fleet.Fleet) error { return f.Start() }); err != nil {
		return err
	}
	// The streams take their time to be begun, then the timeout counts.
	wanted := t.cfg.InitialStreams()
	limit := time.Duration(float64(wanted)/t.cfg.ConnectRate*float64(time.Second)) + t.cfg.RampTimeout
	var missing int64
	err := t.poll(ctx, limit, min(look, t.cfg.Interval), nil, func() (bool, error) {
		missing = int64(wanted) - t.sum.Open()
		return missing <= 0, nil
	})
	t.seconds.Ramp = time.Since(start).Seconds()
	t.atBegin = readServer(ctx, t.server)
	switch {
	case err != nil:
		return err
	case wanted > 0 && t.sum.Opened == 0 && ctx.Err() == nil:
		return fmt.Errorf("not one of %d streams was accepted within %s: %s", wanted, limit, kinds(t.sum.Errors))
	case wanted > 0 && t.sum.Opened == 0:
		return ErrInterrupted
	case missing > 0 && ctx.Err() == nil:
		t.warnf("%d of %d streams were not open when publishing began: %s", missing, wanted, kinds(t.sum.Errors))
	}
	return nil
}

// kinds lists errors, the most frequent first.
func kinds(errs map[string]int64) string {
	if len(errs) == 0 {
		return "no error, just no answer"
	}
	var names []string
	for k := range errs {
		names = append(names, k)
	}
	slices.SortFunc(names, func(a, b string) int { return int(errs[b] - errs[a]) })
	var parts []string
	for _, k := range names[:min(len(names), 4)] {
		parts = append(parts, fmt.Sprintf("%s (%d×)", k, errs[k]))
	}
	return strings.Join(parts, ", ")
}

// publish sends the events, or just listens for as long.
func (t *test) publish(ctx context.Context) error {
	t.phase = "publish"
	t.begin = t.clock.Now() + int64(lead)
	from := int64(0)
	if t.cfg.WarmUp > 0 {
		from = t.begin + int64(t.cfg.WarmUp)
	}
	if err := t.all(func(_ int, f fleet.Fleet) error { return f.Measure(t.begin, from) }); err != nil {
		return err
	}
	if t.cfg.Finite {
		if err := t.all(func(_ int, f fleet.Fleet) error { return f.Start() }); err != nil {
			return err
		}
	}
	t.atBegin = readServer(ctx, t.server)
	t.ownBegin, t.workBegin = probe.OwnCPU(), t.sum.CPU
	t.peakRSS = max(t.idle.RSS, t.atBegin.RSS)
	before := session.Stats{Busy: t.sum.Busy, Span: t.sum.Span}

	done := make(chan struct{})
	var sendErr error
	user := ctx
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		defer close(done)
		sendErr = t.send(ctx)
	}()
	t.busy.peak = 0
	err := t.poll(context.WithoutCancel(ctx), forever, t.cfg.Interval, done, func() (bool, error) {
		if t.abortNow() || t.allGone() {
			stop()
		}
		select {
		case <-done:
			return true, nil
		default:
			return false, nil
		}
	})
	stop()
	<-done
	t.pubEnd = t.clock.Now()
	whole := user.Err() == nil && t.cfg.Events == 0 && t.aborted.Text == "" && !t.allGone()
	if scheduled := t.begin + int64(t.cfg.Duration); whole && t.pubEnd < scheduled && t.cfg.Rate != (pacer.Max{}).String() {
		t.pubEnd = scheduled
	}
	t.ownEnd = probe.OwnCPU() + time.Duration(t.sum.CPU-t.workBegin)
	t.seconds.Publish = time.Duration(t.pubEnd - t.begin).Seconds()
	t.busy.busy, t.busy.span = t.sum.Busy-before.Busy, t.sum.Span-before.Span
	return errors.Join(err, sendErr)
}

// send publishes, or waits as long where the deployment publishes by itself.
func (t *test) send(ctx context.Context) error {
	if t.pub != nil {
		return t.pub.Run(ctx, t.begin)
	}
	wait := time.NewTimer(t.cfg.Duration + lead)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
	return nil
}

// drain waits until nothing is missing, or nothing comes any more.
func (t *test) drain() error {
	t.phase = "drain"
	start := time.Now()
	if err := t.all(func(_ int, f fleet.Fleet) error { return f.Quiet() }); err != nil {
		return err
	}
	limit := t.cfg.Drain
	if t.broken {
		limit = min(limit, 2*time.Second)
	}
	received, quiet := t.sum.Deliveries, time.Now()
	over := func() (bool, error) {
		if t.sum.Deliveries != received {
			received, quiet = t.sum.Deliveries, time.Now()
		}
		if err := t.finish(); err != nil {
			return true, err
		}
		if t.cfg.Finite {
			return t.final.Unfinished == 0, nil
		}
		// Streams that the server has ended are waited for only as long as they
		// are owed something.
		return t.final.Coming == 0 && (t.final.Loss.Total() == 0 || time.Since(quiet) > limit/3), nil
	}
	done, err := over()
	if !done && err == nil {
		err = t.poll(context.Background(), limit, min(look, t.cfg.Interval), nil, over)
	}
	if err == nil {
		err = t.finish()
	}
	if err == nil {
		err = t.collect() // at least all that finish knew of
	}
	t.seconds.Drain = time.Since(start).Seconds()
	t.atEnd = readServer(context.Background(), t.server)
	t.point(time.Now())
	return err
}

// finish asks all fleets what is missing.
func (t *test) finish() error {
	var v check.Voids
	if t.pub != nil {
		v = t.pub.Voids()
	}
	finals := make([]session.Final, len(t.fleets))
	err := t.all(func(i int, f fleet.Fleet) error {
		var err error
		finals[i], err = f.Finish(v)
		return err
	})
	t.final = session.Final{}
	for _, f := range finals {
		t.final.Add(f)
	}
	return err
}

// collect takes what was counted since the last time, and adds a point to the
// timeline when an interval is over.
func (t *test) collect() error {
	parts := make([]*session.Stats, len(t.fleets))
	err := t.all(func(i int, f fleet.Fleet) error {
		var err error
		parts[i], err = f.Collect()
		return err
	})
	if err != nil {
		return err
	}
	var rss int64
	for _, p := range parts {
		if p == nil {
			continue // gone
		}
		t.part.Merge(p)
		t.sum.Merge(p)
		rss += p.RSS
	}
	if rss == 0 {
		rss = probe.OwnRSS()
	}
	t.ownRSS = max(t.ownRSS, rss)
	if t.lag != nil {
		t.lag.Collect(&t.sum.Lag)
	}
	if t.pub != nil {
		p := t.pub.Collect()
		t.partPub.Merge(p)
		t.pubSum.Merge(p)
	}
	t.peakOpen = max(t.peakOpen, t.sum.Open())
	if now := time.Now(); now.Sub(t.lastAt) >= t.cfg.Interval {
		t.point(now)
	}
	return nil
}
