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
	"github.com/spatehub/spate/loadtest/internal/stats"
)

// Remote is a fleet in a worker process.
type Remote struct {
	cmd   *exec.Cmd
	calls *rpc.Client
	input io.Closer
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
	r := &Remote{cmd: cmd, input: in, calls: rpc.NewClient(stdio{out, in})}
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
		return fmt.Errorf("worker process %d is gone: %w", r.cmd.Process.Pid, err)
	}
	return err
}

// Start implements fleet.Fleet.
func (r *Remote) Start() error { return r.call("Start", None{}, &None{}) }

// Collect implements fleet.Fleet.
func (r *Remote) Collect() (*stats.Stats, error) {
	s := &stats.Stats{}
	return s, r.call("Collect", None{}, s)
}

// Measure implements fleet.Fleet.
func (r *Remote) Measure(begin, from int64) error {
	return r.call("Measure", Moments{begin, from}, &None{})
}

// Quiet implements fleet.Fleet.
func (r *Remote) Quiet() error { return r.call("Quiet", None{}, &None{}) }

// Finish implements fleet.Fleet.
func (r *Remote) Finish(v check.Voids) (stats.Final, error) {
	var f stats.Final
	err := r.call("Finish", v, &f)
	return f, err
}

// closeWithin is how long a worker may take to close its streams.
const closeWithin = 10 * time.Second

// Close implements fleet.Fleet: the worker ends when its input does.
func (r *Remote) Close() error {
	_ = r.input.Close()
	late := time.AfterFunc(closeWithin, func() { _ = r.cmd.Process.Kill() })
	defer late.Stop()
	err := r.cmd.Wait()
	_ = r.calls.Close()
	return err
}
