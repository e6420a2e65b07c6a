// Package load is the load tester as a library, for benchmarks and tests that
// want its figures without parsing a command's output.
//
// A benchmark whose server runs in its own process puts the streams into worker
// processes (Config.Fork), so that their processor time is not the server's.
// The workers are the same program started again: call [Main] first of all in
// its main function or TestMain.
package load

import (
	"context"
	"errors"
	"fmt"

	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/procs"
	"github.com/spatehub/spate/loadtest/internal/report"
	"github.com/spatehub/spate/loadtest/internal/run"
	"github.com/spatehub/spate/loadtest/internal/session"
)

// Config describes a run; see the flags of the command for each field. Start
// from [Default].
type Config = config.Config

// Storm is a moment at which streams drop and come back at once.
type Storm = config.Storm

// Result is all that a run has found. It is also the JSON that the command
// writes.
type Result = report.Result

// Modes of Config.Mode.
const (
	ModeAuto     = config.ModeAuto
	ModeRaw      = config.ModeRaw
	ModePortable = config.ModePortable
)

// Default returns what the command does without flags: 100 streams, 10
// broadcasts a second, 30 s.
func Default() Config { return config.Default() }

// Main makes this process a worker if it was started as one; it does not return
// then. Otherwise it returns at once.
func Main() { procs.Main() }

// Run conducts one test. When ctx ends, the test is wound up early and the
// result says so. An error means that the test could not start, or that the
// server takes no events at all; what the streams went through is in the
// result, whose Verdict says whether the figures count.
func Run(ctx context.Context, c Config) (*Result, error) { return run.Run(ctx, c, nil) }

// RunWatched is Run, and tells open and deliveries so far once each
// Config.Interval. The callback must not block for long.
func RunWatched(ctx context.Context, c Config, watch func(open, deliveries int64)) (*Result, error) {
	return run.Run(ctx, c, func(p report.Point, sofar *session.Stats) { watch(p.Open, sofar.Deliveries) })
}

// Read reads a result that the command has stored.
func Read(file string) (*Result, error) { return report.Read(file) }

// ErrNotMeasured is wrapped by the error of Metric about a figure that the run has
// not measured.
var ErrNotMeasured = errors.New("not measured")

// Metric returns the figure of r that is so named in -expect, durations in
// nanoseconds, for example "p99" or "server.cpu/delivery".
func Metric(r *Result, name string) (float64, error) {
	v, measured, ok := r.Metric(name)
	switch {
	case !ok:
		return 0, fmt.Errorf("load: there is no figure %q", name)
	case !measured:
		return 0, fmt.Errorf("load: %s: %w", name, ErrNotMeasured)
	}
	return v, nil
}
