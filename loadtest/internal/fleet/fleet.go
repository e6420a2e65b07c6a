// Package fleet runs a part of a test's streams: all of them, or those of one
// worker process. It opens them at the wanted rate, drops them when churn or a
// storm asks for it, and hands out what they have counted. How bytes are moved
// is a Transport's matter.
package fleet

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spatehub/spate/loadtest/internal/adapter"
	"github.com/spatehub/spate/loadtest/internal/check"
	"github.com/spatehub/spate/loadtest/internal/clock"
	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/pacer"
	"github.com/spatehub/spate/loadtest/internal/session"
)

// Fleet is a part of a run's streams, in this process or in another. Methods
// are called by one goroutine at a time, in the order in which they stand here.
type Fleet interface {
	// Start begins to open the streams.
	Start() error
	// Collect returns what has been counted since the last Collect.
	Collect() (*session.Stats, error)
	// Measure tells that publishing begins: churn and storms start, and events
	// due at or after from (nanoseconds since the Unix epoch) are measured.
	Measure(begin, from int64) error
	// Quiet ends churn and storms. Dropped streams come back.
	Quiet() error
	// Finish says what streams are owed and do not have: lost, once nothing
	// more is published or on its way. It may be called repeatedly.
	Finish(v check.Voids) (session.Final, error)
	// Close ends all streams and returns when everything of the fleet is gone.
	Close() error
}

// Part is what a fleet is made of: streams From to To (excluded) of a run.
type Part struct {
	Config   *config.Config
	Adapter  *adapter.Adapter
	Env      *session.Env
	From, To int
}

// Len is the number of streams.
func (p *Part) Len() int { return p.To - p.From }

// Sessions makes the sessions of the part's streams.
func (p *Part) Sessions(fill func(i int, s session.Session)) {
	c := p.Config
	checkers := check.Clients(p.Env.Ledger.Space, p.Len(), c.FollowedTopics(), func(i int) (uint32, uint32) {
		return c.User(p.From + i), c.FirstTopic(p.From + i)
	})
	for i, ck := range checkers {
		g := c.Group(p.From + i)
		b := c.Behaviour(g)
		from, _ := c.GroupStreams(g)
		fill(i, session.Session{Check: ck, Group: g, Role: Role(p.From+i-from, b.Slow, b.Stall)})
	}
}

// SlowRate is how many bytes a second stream i of the part reads, if it is slow.
func (p *Part) SlowRate(i int) int { return p.Config.Behaviour(p.Config.Group(p.From + i)).SlowRate }

// Role spreads slow and stalled streams evenly over all.
func Role(n int, slow, stall float64) session.Role {
	special := slow + stall
	k, ok := spread(n, special)
	if !ok {
		return session.Normal
	}
	if _, isSlow := spread(k, slow/special); isSlow {
		return session.Slow
	}
	return session.Stalled
}

// spread reports whether n is one of the chosen, when a share of all numbers is
// chosen at even distances, and how many were chosen before it.
func spread(n int, share float64) (before int, chosen bool) {
	const tiny = 1e-9 // 0.1*10 is a whole number
	before = int(float64(n)*share + tiny)
	return before, int(float64(n+1)*share+tiny) > before
}

// Transport moves the bytes of a part's streams. Streams are numbered from 0
// within the part.
type Transport interface {
	// Open begins to connect streams lo to hi (excluded).
	Open(lo, hi int)
	// Drop closes streams and connects them again after away. Streams that are
	// not open are left alone.
	Drop(streams []int, away time.Duration)
	// Retire closes streams lo to hi (excluded) until they are opened again, as new
	// ones.
	Retire(lo, hi int)
	// Arrive asks for a finite stream that was due at due, nanoseconds since the
	// Unix epoch, on one that is free; where none is, the request waits for one.
	Arrive(due int64)
	// Collect moves what was counted into s.
	Collect(s *session.Stats)
	// CountsLag reports whether that tells how late the transport's own threads are.
	CountsLag() bool
	// Each calls fn for every stream, while nothing else touches it; fn may be
	// called by several goroutines at once, but never for two streams of the
	// same group of streams. It returns when all calls have.
	Each(fn func(i int, s *session.Session))
	// Close ends all streams and waits for the transport's goroutines.
	Close()
}

// Local is a fleet in this process.
type Local struct {
	part  *Part
	tr    Transport
	lag   *LagMeter // nil if the transport counts it
	clock clock.Clock

	ctx    context.Context // of the goroutines that open and drop
	cancel context.CancelFunc
	quiet  context.CancelFunc
	alarm  *clock.Alarm // of arrivals
	missed atomic.Int64 // arrivals given up since the last Collect; nothing else is published by it
	wg     sync.WaitGroup

	scheduled sync.WaitGroup // the goroutine of arrivals
}

// NewLocal takes over tr.
func NewLocal(p *Part, tr Transport) (*Local, error) {
	alarm, err := p.Env.Clock.NewAlarm()
	if err != nil {
		return nil, err
	}
	f := &Local{part: p, tr: tr, alarm: alarm, clock: p.Env.Clock, quiet: func() {}}
	if !tr.CountsLag() {
		if f.lag, err = NewLagMeter(); err != nil {
			return nil, errors.Join(err, alarm.Close())
		}
	}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	return f, nil
}

// Start implements Fleet.
func (f *Local) Start() error {
	f.wg.Go(f.ramp)
	return nil
}

// tick is how often streams are opened and dropped.
const tick = 5 * time.Millisecond

// ramp opens the streams at this part's share of the wanted rate.
func (f *Local) ramp() {
	c := f.part.Config
	if c.Arrivals != "" {
		return // each request opens its stream
	}
	rate := c.ConnectRate * float64(f.part.Len()) / float64(c.Streams)
	start, opened, all := time.Now(), 0, f.share(c.InitialStreams())
	f.every(f.ctx, func() bool {
		due := min(all, 1+int(time.Since(start).Seconds()*rate))
		if due > opened {
			f.tr.Open(opened, due)
			opened = due
		}
		return opened < all
	})
}

// share is how many of n open streams are this part's.
func (f *Local) share(n int) int {
	c := f.part.Config
	return n*f.part.To/c.Streams - n*f.part.From/c.Streams
}

// stages opens and closes streams as their number is to change over time.
func (f *Local) stages(ctx context.Context, begin int64) {
	c := f.part.Config
	open := f.share(c.InitialStreams())
	f.every(ctx, func() bool {
		switch want := f.share(c.StreamsAt(time.Duration(f.clock.Now() - begin))); {
		case want > open:
			f.tr.Open(open, want)
			open = want
		case want < open:
			f.tr.Retire(want, open)
			open = want
		}
		return true
	})
}

// every calls fn at each tick until it returns false or ctx ends.
func (f *Local) every(ctx context.Context, fn func() bool) {
	t := time.NewTicker(tick)
	defer t.Stop()
	for fn() {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// Collect implements Fleet.
func (f *Local) Collect() (*session.Stats, error) {
	s := &session.Stats{}
	f.tr.Collect(s)
	if f.lag != nil {
		f.lag.Collect(&s.Lag)
	}
	s.Unstarted += f.missed.Swap(0)
	return s, nil
}

// Measure implements Fleet.
func (f *Local) Measure(begin, from int64) error {
	f.part.Env.MeasureFrom.Store(from)
	ctx, cancel := context.WithCancel(f.ctx)
	f.quiet = cancel
	if f.part.Config.Arrivals != "" {
		p, err := pacer.Parse(f.part.Config.Arrivals)
		if err != nil {
			return err
		}
		f.scheduled.Go(func() { f.arrivals(ctx, p, begin) })
	}
	for g := -1; g < len(f.part.Config.Groups); g++ {
		if f.part.Config.Behaviour(g).Churn > 0 {
			f.wg.Go(func() { f.churn(ctx, g) })
		}
	}
	if c := f.part.Config; c.Move > 0 {
		r := rand.New(rand.NewPCG(c.Seed, uint64(f.part.From)<<8|255))
		f.wg.Go(func() { f.drop(ctx, r, 0, f.part.Len(), c.Move/60, 0) }) // who comes back does so at the next one
	}
	if len(f.part.Config.Line) > 0 {
		f.wg.Go(func() { f.stages(ctx, begin) })
	}
	if len(f.part.Config.Storms) > 0 {
		f.wg.Go(func() { f.storms(ctx, begin) })
	}
	return nil
}

// arrivals asks for finite streams on schedule: an open model. Of the schedule,
// which is the whole run's, each process takes its turns.
func (f *Local) arrivals(ctx context.Context, p pacer.Pacer, begin int64) {
	c := f.part.Config
	schedule := pacer.NewSchedule(p, c.Duration, 0)
	turn := f.part.From * c.Procs / max(c.Streams, 1)
	for k := 0; ; k++ {
		at, ok := schedule.Next(0)
		if !ok {
			return
		}
		if k%c.Procs != turn {
			continue
		}
		due := begin + int64(at)
		if wait := due - f.clock.Now(); wait > 0 && f.alarm.Until(ctx, due) != nil || ctx.Err() != nil {
			if due > f.clock.Now() {
				return
			}
			f.missed.Add(1) // due before the end, and this process did not get round to it
			continue
		}
		f.tr.Arrive(due)
	}
}

// churn drops a share of a group's streams each second, drawn at random.
func (f *Local) churn(ctx context.Context, g int) {
	c := f.part.Config
	b := c.Behaviour(g)
	lo, hi := c.GroupStreams(g)
	lo, hi = max(lo, f.part.From)-f.part.From, min(hi, f.part.To)-f.part.From
	if hi <= lo {
		return
	}
	r := rand.New(rand.NewPCG(c.Seed, uint64(f.part.From)<<8|uint64(g+1)))
	f.drop(ctx, r, lo, hi, b.Churn, b.Away)
}

// drop drops a share of streams lo to hi (excluded) each second, drawn by r.
func (f *Local) drop(ctx context.Context, r *rand.Rand, lo, hi int, share float64, away time.Duration) {
	perSecond := share * float64(hi-lo)
	start, done := time.Now(), 0
	f.every(ctx, func() bool {
		var list []int
		for due := int(time.Since(start).Seconds() * perSecond); done < due; done++ {
			list = append(list, lo+r.IntN(hi-lo))
		}
		f.tr.Drop(list, away)
		return true
	})
}

// storms drops a share of the streams at once, at the wanted moments.
func (f *Local) storms(ctx context.Context, begin int64) {
	c := f.part.Config
	next := 0
	f.every(ctx, func() bool {
		for ; next < len(c.Storms) && f.clock.Now() >= begin+int64(c.Storms[next].At); next++ {
			var list []int
			for i := range f.part.Len() {
				if _, hit := spread(f.part.From+i, c.Storms[next].Share); hit {
					list = append(list, i)
				}
			}
			f.tr.Drop(list, c.Away)
		}
		return next < len(c.Storms)
	})
}

// Quiet implements Fleet.
func (f *Local) Quiet() error {
	f.part.Env.Quiet.Store(true)
	f.quiet()
	f.scheduled.Wait() // so that every arrival is counted when all is collected
	return nil
}

// Finish implements Fleet.
func (f *Local) Finish(v check.Voids) (session.Final, error) {
	var mu sync.Mutex
	var final session.Final
	now := f.clock.Now()
	f.tr.Each(func(_ int, s *session.Session) {
		loss := s.Check.Finish(f.part.Env.Ledger, v)
		mu.Lock()
		defer mu.Unlock()
		f.standing(s, now, &final)
		switch s.Role {
		case session.Normal:
			final.Loss.Add(loss)
			if s.Group >= 0 {
				final.Add(session.Final{GroupLost: append(make([]uint64, s.Group), loss.Total())})
			}
		case session.Slow:
			final.Unread += loss.Tail
			loss.Tail = 0
			final.Loss.Add(loss)
		case session.Stalled: // has asked for nothing
		}
	})
	return final, nil
}

// standing counts what state a stream is in.
func (f *Local) standing(s *session.Session, now int64, final *session.Final) {
	env := f.part.Env
	switch {
	case env.Finite != nil:
		if s.Due > 0 {
			final.Unfinished++
		}
	case s.SentAway():
		final.SentAway++
	case !s.Wanted(): // closed by a stage, or not opened yet
	case !s.EverOpen():
		final.NeverOpen++
	case !s.Open():
		final.Offline++
		if s.Coming() {
			final.Coming++
		}
	}
	if silent := s.Silent(now); env.Observe {
		final.Silence = max(final.Silence, silent)
		if env.Silence > 0 && silent > env.Silence {
			final.Silent++
		}
	}
}

// Close implements Fleet.
func (f *Local) Close() error {
	f.cancel()
	f.wg.Wait()
	f.scheduled.Wait()
	f.tr.Close()
	err := f.alarm.Close()
	if f.lag != nil {
		err = errors.Join(err, f.lag.Close())
	}
	return err
}
