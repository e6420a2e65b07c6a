// Package run conducts a test from the first connection to the verdict.
package run

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/spatehub/spate/loadtest/internal/adapter"
	"github.com/spatehub/spate/loadtest/internal/check"
	"github.com/spatehub/spate/loadtest/internal/clock"
	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/fleet"
	"github.com/spatehub/spate/loadtest/internal/portable"
	"github.com/spatehub/spate/loadtest/internal/probe"
	"github.com/spatehub/spate/loadtest/internal/procs"
	"github.com/spatehub/spate/loadtest/internal/publish"
	"github.com/spatehub/spate/loadtest/internal/report"
	"github.com/spatehub/spate/loadtest/internal/session"
)

// ErrInterrupted is the error of a run that was ended before a stream was open.
var ErrInterrupted = errors.New("interrupted before a stream was open")

// Watch is told of every point of the timeline, with the sums so far.
type Watch func(p report.Point, sofar *session.Stats)

// Run conducts one test. When ctx ends, the test is wound up early and the
// result says so. The error is about a test that could not start, or whose
// server takes no events at all.
func Run(ctx context.Context, c config.Config, watch Watch) (*report.Result, error) {
	return RunWith(ctx, c, procs.Security{}, watch)
}

// RunWith is Run with the agents that the configuration names.
func RunWith(ctx context.Context, c config.Config, security procs.Security, watch Watch) (*report.Result, error) {
	p, err := plan(&c)
	if err != nil {
		return nil, err
	}
	a := p.adapter
	if err := needFiles(&c); err != nil {
		return nil, err
	}
	if err := portable.Login(ctx, &c, a, 0, min(c.Streams, 1)); err != nil {
		return nil, err
	}
	server, err := probe.New(ctx, c.ServerPID, c.ServerMetrics)
	if err != nil {
		return nil, err
	}
	idle := readServer(ctx, server)
	software, err := preflight(ctx, &c, a)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ErrInterrupted
		}
		return nil, err
	}
	t, err := open(ctx, &c, a, security)
	if err != nil {
		return nil, err
	}
	t.watch, t.server, t.idle, t.abort = watch, server, idle, p.aborts
	t.software = software
	err = t.conduct(ctx)
	if e := t.close(); err == nil && e != nil {
		t.warnf("winding up: %v", e)
	}
	if err != nil {
		return nil, err
	}
	return t.result(p.expects), nil
}

// Check says what is wrong with a configuration, as far as it can be told without
// the server, and fills in what follows from other values.
func Check(c *config.Config) error {
	_, err := plan(c)
	return err
}

// planned is a configuration that has been checked.
type planned struct {
	adapter         *adapter.Adapter
	expects, aborts []report.Expect
}

// plan checks everything that can be checked before a run.
func plan(c *config.Config) (p planned, err error) {
	if err := c.Normalize(); err != nil {
		return p, err
	}
	if c.RunID == "" {
		c.RunID = strconv.FormatUint(uint64(rand.Uint32()|1), 16)
	}
	var faults []error
	for _, text := range c.Expect {
		e, err := report.ParseExpect(text)
		p.expects, faults = append(p.expects, e), append(faults, err)
	}
	for _, text := range c.Abort {
		e, err := report.ParseAbort(text)
		p.aborts, faults = append(p.aborts, e), append(faults, err)
	}
	if !session.ValidTimeFormat(c.TimeFormat) {
		faults = append(faults, fmt.Errorf("-time-format %q: it is %s", c.TimeFormat, session.TimeFormats))
	}
	for flag, spec := range map[string]string{"-time-from": c.TimeFrom, "-token-from": c.TokenFrom} {
		if _, err := session.ParseExtractor(spec, ""); spec != "" && err != nil {
			faults = append(faults, fmt.Errorf("%s %w", flag, err))
		}
	}
	p.adapter, err = adapter.New(c)
	return p, errors.Join(append(faults, err)...)
}

// test is one test under way. All of it is one goroutine's.
type test struct {
	cfg    *config.Config
	clock  clock.Clock
	fleets []fleet.Fleet
	gone   map[int]error       // fleets that were lost while publishing, by index
	memory *procs.SharedMemory // with worker processes
	procs  func()              // gives the processors back that the loops of this process were let have
	lag    *fleet.LagMeter     // of this process, if it has no fleet of its own
	pub    *publish.Publisher  // nil if there is none
	server probe.Server        // nil if it is not watched
	watch  Watch

	started  time.Time
	begin    int64 // publishing began; nanoseconds since the Unix epoch
	sum      session.Stats
	pubSum   publish.Stats
	final    session.Final
	warnings []string
	seconds  report.Phases
	broken   bool  // ended by the user
	unsure   int64 // how far agents' clocks may be from this one, nanoseconds
	abort    []report.Expect
	software string             // what the server calls itself
	aborted  report.Expectation // the condition of -abort that held; no text if none did

	// Between points of the timeline.
	phase       string
	timeline    []report.Point
	part        session.Stats
	partPub     publish.Stats
	firstOpened int64 // streams that were opened at least once, as far as can be told from the sums
	lastAt      time.Time
	lastOwn     time.Duration
	lastSrv     probe.Sample
	peakOpen    int64
	peakRSS     int64
	ownRSS      int64 // peak

	idle, atBegin, atEnd probe.Sample
	ownBegin, ownEnd     time.Duration
	workBegin            int64 // workers' processor time when publishing began
	busy                 busyShare
	pubEnd               int64
}

// busyShare is how much event loops worked while publishing.
type busyShare struct {
	busy, span int64
	peak       float64
}

// open makes the fleets, here or in worker processes.
func open(ctx context.Context, c *config.Config, a *adapter.Adapter, security procs.Security) (*test, error) {
	t := &test{cfg: c, clock: clock.New(), started: time.Now()}
	agents := len(c.Agents)
	forked := (c.Fork || c.Procs > 1) && agents == 0
	t.procs = procs.Processors(c)
	ledger, err := t.ledger(forked)
	if err != nil {
		return nil, errors.Join(err, t.close())
	}
	if c.Publish {
		run, _ := strconv.ParseUint(c.RunID, 16, 32) // checked by Normalize
		if t.pub, err = publish.New(c, a, ledger, t.clock, uint32(run)); err != nil {
			return nil, errors.Join(err, t.close())
		}
	}
	if c.Streams == 0 || forked || agents > 0 {
		if t.lag, err = fleet.NewLagMeter(); err != nil {
			return nil, errors.Join(err, t.close())
		}
	}
	parts := max(c.Procs, agents)
	for k := range parts {
		from, to := c.Streams*k/parts, c.Streams*(k+1)/parts
		if from == to {
			continue
		}
		var f fleet.Fleet
		if agents > 0 {
			f, err = t.dial(ctx, c.Agents[k], security, ledger, procs.Spec{Config: *c, From: from, To: to})
		} else {
			f, err = t.openPart(ledger, forked, from, to)
		}
		if err != nil {
			return nil, errors.Join(err, t.close())
		}
		t.fleets = append(t.fleets, f)
	}
	return t, nil
}

// dial makes a fleet with an agent.
func (t *test) dial(ctx context.Context, addr string, s procs.Security, l *check.Ledger, spec procs.Spec) (fleet.Fleet, error) {
	spec.Config.Procs = len(t.cfg.Agents) // for what is divided among processes
	r, err := procs.Dial(ctx, addr, s, spec, l, t.clock.Now)
	if err != nil {
		return nil, err
	}
	t.unsure = max(t.unsure, r.Unsure)
	return r, nil
}

// ledger makes the ledger where everybody can reach it who needs to.
func (t *test) ledger(shared bool) (*check.Ledger, error) {
	space := t.cfg.Space()
	if !t.cfg.Publish {
		return check.NewFarLedger(space), nil
	}
	if !shared {
		return check.NewLedger(space), nil
	}
	var err error
	if t.memory, err = procs.NewSharedMemory(space.Bytes()); err != nil {
		return nil, err
	}
	return check.LedgerIn(t.memory.Mem, space)
}

func (t *test) openPart(l *check.Ledger, forked bool, from, to int) (fleet.Fleet, error) {
	if !forked {
		p, err := fleet.NewPart(t.cfg, l, t.clock, from, to)
		if err != nil {
			return nil, err
		}
		return procs.Open(p)
	}
	spec := procs.Spec{Config: *t.cfg, From: from, To: to, Base: t.clock.Base()}
	if t.memory == nil {
		return procs.Spawn(spec, nil)
	}
	return procs.Spawn(spec, t.memory.File)
}

// close gives everything back.
func (t *test) close() error {
	var wg sync.WaitGroup
	errs := make([]error, len(t.fleets))
	for i, f := range t.fleets {
		wg.Go(func() {
			if err := f.Close(); t.gone[i] == nil {
				errs[i] = err
			}
		})
	}
	wg.Wait()
	t.procs()
	if t.lag != nil {
		errs = append(errs, t.lag.Close())
	}
	if t.memory != nil {
		errs = append(errs, t.memory.Close())
	}
	return errors.Join(errs...)
}

func (t *test) warnf(format string, args ...any) {
	t.warnings = append(t.warnings, fmt.Sprintf(format, args...))
}

// all calls fn for every fleet at once, but for those that are gone. Once publishing
// has begun, a fleet that is found to be gone is no error: the run goes on with the
// others, and does not count.
func (t *test) all(fn func(i int, f fleet.Fleet) error) error {
	var wg sync.WaitGroup
	errs := make([]error, len(t.fleets))
	for i, f := range t.fleets {
		if t.gone[i] == nil {
			wg.Go(func() { errs[i] = fn(i, f) })
		}
	}
	wg.Wait()
	for i, err := range errs {
		if t.begin > 0 && errors.Is(err, procs.ErrGone) {
			if t.gone == nil {
				t.gone = map[int]error{}
			}
			t.gone[i], errs[i] = fmt.Errorf("%.1f s after publishing began: %w", time.Duration(t.clock.Now()-t.begin).Seconds(), err), nil
		}
	}
	return errors.Join(errs...)
}

// allGone reports whether nobody holds streams any more.
func (t *test) allGone() bool { return len(t.fleets) > 0 && len(t.gone) == len(t.fleets) }

// needFiles makes sure that every process may open its streams.
func needFiles(c *config.Config) error {
	per := (c.Streams + c.Procs - 1) / c.Procs
	limit := probe.FileLimit()
	room := limit - procs.FilesFor(c, 0)
	if room < per && room > 0 && len(c.Agents) == 0 {
		return fmt.Errorf("%d streams in %d process(es) need %d open files each, and the limit is %d: use -procs %d, or raise the limit (ulimit -n %d)",
			c.Streams, c.Procs, procs.FilesFor(c, per), limit, (c.Streams+room-1)/room, procs.FilesFor(c, per))
	}
	own := procs.FilesFor(c, 0)
	if len(c.Agents) > 0 {
		return probe.NeedFiles(own, "raise it (ulimit -n)")
	}
	if c.Procs == 1 && !c.Fork {
		own = procs.FilesFor(c, c.Streams)
	}
	return probe.NeedFiles(own, "raise it (ulimit -n)")
}

func readServer(ctx context.Context, s probe.Server) probe.Sample {
	if s == nil {
		return probe.Sample{}
	}
	sample, err := s.Read(ctx)
	if err != nil {
		return probe.Sample{} // gone or busy: the timeline shows the hole
	}
	return sample
}
