package procs

import (
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"os"
	"os/exec"
	"time"

	"github.com/spatehub/spate/loadtest/internal/check"
	"github.com/spatehub/spate/loadtest/internal/session"
)

// ErrGone is wrapped by the errors of a worker process, or an agent, that has ended or
// cannot be reached any more.
var ErrGone = errors.New("is gone")

// Remote is a fleet in a worker process, or with an agent.
type Remote struct {
	name   string
	cmd    *exec.Cmd // nil with an agent
	calls  *rpc.Client
	input  io.Closer
	ledger *check.Ledger // with an agent: what the publisher has issued
	Unsure int64         // how far the clocks may be apart, nanoseconds
}

// Spawn starts a worker for s. ledger is the shared memory's file; nil if there
// is no publisher here.
func Spawn(s Spec, ledger *os.File) (*Remote, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program to start workers: %w", err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), workerEnv+"=1")
	cmd.Stderr = os.Stderr
	if ledger != nil {
		cmd.ExtraFiles = []*os.File{ledger}
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a worker process: %w", err)
	}
	r := &Remote{name: fmt.Sprintf("worker process %d", cmd.Process.Pid), cmd: cmd, input: in, calls: rpc.NewClient(stdio{out, in})}
	if err := r.call("Init", s, &None{}); err != nil {
		_ = r.Close()
		return nil, err
	}
	return r, nil
}

func (r *Remote) call(method string, arg, answer any) error {
	err := r.calls.Call("Worker."+method, arg, answer)
	var far rpc.ServerError
	if err != nil && !errors.As(err, &far) {
		return fmt.Errorf("%s %w: %w", r.name, ErrGone, err)
	}
	if err != nil && r.cmd == nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	return err
}

// Name says which worker or agent it is.
func (r *Remote) Name() string { return r.name }

// Start implements fleet.Fleet.
func (r *Remote) Start() error { return r.call("Start", None{}, &None{}) }

// Collect implements fleet.Fleet.
func (r *Remote) Collect() (*session.Stats, error) {
	s := &session.Stats{}
	return s, r.call("Collect", None{}, s)
}

// Measure implements fleet.Fleet.
func (r *Remote) Measure(begin, from int64) error {
	return r.call("Measure", Moments{begin, from}, &None{})
}

// Quiet implements fleet.Fleet.
func (r *Remote) Quiet() error { return r.call("Quiet", None{}, &None{}) }

// Finish implements fleet.Fleet.
func (r *Remote) Finish(v check.Voids) (session.Final, error) {
	var f session.Final
	arg := Ending{Voids: v}
	if r.ledger != nil {
		arg.Issued = r.ledger.Issued()
	}
	err := r.call("Finish", arg, &f)
	return f, err
}

// closeWithin is how long a worker may take to close its streams.
const closeWithin = 10 * time.Second

// Close implements fleet.Fleet: the worker ends when its input does.
func (r *Remote) Close() error {
	if r.cmd == nil {
		return r.calls.Close() // and with it the connection, which ends the agent's run
	}
	_ = r.input.Close()
	late := time.AfterFunc(closeWithin, func() { _ = r.cmd.Process.Kill() })
	defer late.Stop()
	err := r.cmd.Wait()
	_ = r.calls.Close()
	return err
}
