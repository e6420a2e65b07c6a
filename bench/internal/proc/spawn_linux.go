package proc

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// The environment variables by which a child knows its part and gets its set-up.
const (
	partVar  = "SPATETEST_BENCH_PART"
	setupVar = "SPATETEST_BENCH_SETUP"
)

// Descriptors of a child: requests come in on the first, answers go out on the second.
const (
	requestFD = 3
	answerFD  = 4
)

// Any leaves a child on whatever processor the system chooses.
const Any = -1

// Proc is a part that runs as a child process. One goroutine at a time may use it.
type Proc struct {
	cmd      *exec.Cmd
	requests *os.File
	answers  *os.File
	lines    *bufio.Reader
	stderr   tail
	once     sync.Once
}

// Start runs part of this program on one processor (or Any), with setup as JSON. It must be closed.
func Start(part string, cpu int, setup any) (*Proc, error) {
	text, err := json.Marshal(setup)
	if err != nil {
		return nil, fmt.Errorf("set-up of %s: %w", part, err)
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	reqR, reqW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	ansR, ansW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, reqR.Close(), reqW.Close())
	}
	p := &Proc{requests: reqW, answers: ansR, lines: bufio.NewReader(ansR)}
	p.cmd = exec.Command(exe)
	// A binary with the race detector in it would sleep for a second before it ends.
	p.cmd.Env = append(os.Environ(), partVar+"="+part, setupVar+"="+string(text), "GORACE=atexit_sleep_ms=0")
	if cpu != Any {
		p.cmd.Env = append(p.cmd.Env, "GOMAXPROCS=1")
	}
	p.cmd.ExtraFiles = []*os.File{reqR, ansW}
	p.cmd.Stderr = &p.stderr
	p.cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	err = startOn(p.cmd, cpu)
	reqR.Close()
	ansW.Close()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", part, err), reqW.Close(), ansR.Close())
	}
	return p, nil
}

// starter is the goroutine that starts all children: they die with the thread that started them (Pdeathsig), so it has
// to be one that lives as long as this process.
var starter = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for fn := range work {
			fn()
		}
	}()
	return work
})

// startOn starts cmd on one processor. A child inherits the processors of the thread that starts it; so all its threads
// are bound from the first instruction.
func startOn(cmd *exec.Cmd, cpu int) error {
	done := make(chan error)
	starter() <- func() {
		var all unix.CPUSet
		if cpu != Any && unix.SchedGetaffinity(0, &all) == nil && all.Count() > 1 {
			var one unix.CPUSet
			one.Set(cpu)
			if unix.SchedSetaffinity(0, &one) == nil {
				defer func() { _ = unix.SchedSetaffinity(0, &all) }()
			}
		}
		done <- cmd.Start()
	}
	return <-done
}

// PID is the child's process ID.
func (p *Proc) PID() int { return p.cmd.Process.Pid }

// Call sends a request and decodes the answer into answer, unless that is nil.
func (p *Proc) Call(request, answer any) error {
	text, err := json.Marshal(request)
	if err != nil {
		return err
	}
	if _, err := p.requests.Write(append(text, '\n')); err != nil {
		return p.dead(err)
	}
	line, err := p.lines.ReadBytes('\n')
	if err != nil {
		return p.dead(err)
	}
	var fault struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(line, &fault); err == nil && fault.Error != "" {
		return errors.New(fault.Error)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(line, answer)
}

// dead describes a child that does not answer by what it last said.
func (p *Proc) dead(err error) error {
	p.Close()
	return fmt.Errorf("child ended: %w: %s", err, p.stderr.String())
}

// Kill ends the child at once. Any goroutine may call it, until Close.
func (p *Proc) Kill() { _ = p.cmd.Process.Kill() }

// Close ends the child, at the latest by killing it after two seconds.
func (p *Proc) Close() {
	p.once.Do(func() {
		p.requests.Close()
		kill := time.AfterFunc(2*time.Second, func() { _ = p.cmd.Process.Kill() })
		defer kill.Stop()
		_, _ = io.Copy(io.Discard, p.answers)
		_ = p.cmd.Wait()
		p.answers.Close()
	})
}

// tail keeps the last few kilobytes written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 4 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if over := len(t.text) - tailSize; over > 0 {
		t.text = t.text[over:]
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}
