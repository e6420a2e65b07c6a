package procs

import (
	"errors"
	"io"
	"net/rpc"
	"os"
	"os/signal"
	"time"

	"github.com/spatehub/spate/loadtest/internal/check"
	"github.com/spatehub/spate/loadtest/internal/clock"
	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/fleet"
	"github.com/spatehub/spate/loadtest/internal/probe"
	"github.com/spatehub/spate/loadtest/internal/session"
)

// workerEnv marks a process that is to be a worker.
const workerEnv = "SPATETEST_LOADTEST_WORKER"

// ledgerFile is the descriptor of the ledger's memory in a worker.
const ledgerFile = 3

// Spec is what a worker is to do.
type Spec struct {
	Config   config.Config // secrets included
	From, To int           // streams, To excluded
	Base     clock.Base

	// For agents.
	Offset int64 // to be added to the agent's wall clock, nanoseconds
}

// None is the argument or answer of a call that has none.
type None struct{}

// Ending is the argument of Finish.
type Ending struct {
	Voids  check.Voids
	Issued []uint64 // for agents: the last number of each cell
}

// Moments are the arguments of Measure.
type Moments struct{ Begin, From int64 }

// Worker is the far end of a Remote. Its methods have the form that net/rpc
// wants; they are those of fleet.Fleet.
type Worker struct {
	fleet  fleet.Fleet
	ledger *check.Ledger
	agent  bool          // on another machine: no memory is shared
	cpu    time.Duration // as of the last Collect
}

// Main makes this process a worker if it was started as one, and exits when the
// parent is done with it. Otherwise it returns at once. A program that runs
// fleets in worker processes calls it first of all.
func Main() {
	if os.Getenv(workerEnv) == "" {
		return
	}
	signal.Ignore(os.Interrupt) // meant for the parent, which winds the workers up
	w := &Worker{}
	srv := rpc.NewServer()
	if err := srv.Register(w); err != nil {
		panic(err) // the methods' form is wrong
	}
	srv.ServeConn(stdio{os.Stdin, os.Stdout})
	// Input has ended: the parent is done, or gone.
	if w.fleet != nil {
		_ = w.fleet.Close()
	}
	os.Exit(0)
}

type stdio struct {
	io.Reader
	io.WriteCloser
}

// Init makes the fleet.
func (w *Worker) Init(s Spec, _ *None) error {
	if w.fleet != nil {
		return errors.New("the worker has a fleet already")
	}
	c := s.Config
	if err := probe.NeedFiles(FilesFor(&c, s.To-s.From), "use more processes (-procs)"); err != nil {
		return err
	}
	space := c.Space()
	l := check.NewFarLedger(space)
	clk := clock.From(s.Base)
	switch {
	case w.agent:
		clk = clock.New().Shift(s.Offset)
		if c.Publish {
			l = check.NewRemoteLedger(space)
		}
		w.cpu = probe.OwnCPU() // an agent has served other runs before
	case c.Publish:
		mem, err := mapFile(os.NewFile(ledgerFile, "ledger"), space.Bytes())
		if err != nil {
			return err
		}
		if l, err = check.LedgerIn(mem, space); err != nil {
			return err
		}
	}
	p, err := fleet.NewPart(&c, l, clk, s.From, s.To)
	if err != nil {
		return err
	}
	w.ledger = l
	Processors(&c) // for the process's life
	w.fleet, err = Open(p)
	return err
}

// Start implements the call.
func (w *Worker) Start(None, *None) error { return w.fleet.Start() }

// Collect implements the call; it adds the worker's processor time and
// memory.
func (w *Worker) Collect(_ None, s *session.Stats) error {
	got, err := w.fleet.Collect()
	if err != nil {
		return err
	}
	cpu := probe.OwnCPU()
	got.CPU = int64(cpu - w.cpu)
	w.cpu = cpu
	got.RSS = probe.OwnRSS()
	*s = *got
	return nil
}

// Measure implements the call.
func (w *Worker) Measure(m Moments, _ *None) error {
	w.ledger.Begin()
	return w.fleet.Measure(m.Begin, m.From)
}

// Quiet implements the call.
func (w *Worker) Quiet(None, *None) error { return w.fleet.Quiet() }

// Finish implements the call.
func (w *Worker) Finish(e Ending, f *session.Final) error {
	w.ledger.Settle(e.Issued)
	var err error
	*f, err = w.fleet.Finish(e.Voids)
	return err
}

// FilesFor is how many files a process with n streams may have open.
func FilesFor(c *config.Config, n int) int { return n + 2*c.Connections + 2*c.Loops + 64 }
