package interop

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// follower is one foreign client that follows a stream; what it hands out is kept here.
type follower struct {
	mu     sync.Mutex
	opened int
	events []event
}

func (f *follower) open() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opened++
}

func (f *follower) handOut(e event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, e)
}

func (f *follower) got() []event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]event(nil), f.events...)
}

func (f *follower) isOpen() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.opened > 0 || len(f.events) > 0
}

// process runs a program that writes a JSON line for each event, until the test ends.
func process(t *testing.T, f *follower, cmd *exec.Cmd) {
	t.Helper()
	var stderr safeBuffer
	cmd.Stderr = &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a browser has children
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	done := make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			var line struct {
				Open           bool
				ID, Type, Data string
				Closed         bool
			}
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				t.Errorf("%v: %q", err, lines.Text())
				return
			}
			switch {
			case line.Open:
				f.open()
			case line.Closed:
			default:
				f.handOut(event{ID: line.ID, Type: line.Type, Data: line.Data})
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-ended
		}
		<-done
		if t.Failed() {
			t.Logf("%s wrote: %s", cmd.Path, &stderr)
		}
	})
}

// lifetime is a context that ends with the test, before the test's clean-up waits for wg.
func lifetime(t *testing.T) (context.Context, *sync.WaitGroup) {
	ctx, cancel := context.WithCancel(context.Background())
	wg := &sync.WaitGroup{}
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return ctx, wg
}
