//go:build linux

package peer

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/spatehub/spate/bench/internal/proc"
	"github.com/spatehub/spate/bench/internal/server"
	"github.com/spatehub/spate/internal/others"
	"github.com/spatehub/spate/loadtest/stamp"
)

// outside is a server that is a process of its own, published to over HTTP. It has the processor of the servers to
// itself: the publisher and its requests are on that of the load.
type outside struct {
	*poster
	cmd      *exec.Cmd
	port     int
	path     func(kind stamp.Kind) string
	position func(answer []byte) string // of the answer to a publication; nil: there is no resume
}

// program is what to start, and how to speak to it.
type program struct {
	name     string
	args     []string
	env      []string
	api      api
	path     func(kind stamp.Kind) string
	position func(answer []byte) string
}

// startTimeout is how long a server may take to come up.
const startTimeout = 20 * time.Second

// start starts a program that will listen at a port, and waits until it does.
func start(o server.Options, port int, p program) (*outside, error) {
	said, err := os.Create(filepath.Join(o.Dir, "said"))
	if err != nil {
		return nil, err
	}
	defer said.Close()
	cmd := exec.Command(p.name, p.args...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = o.Dir, said, said
	if err := proc.StartOther(cmd); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	s := &outside{cmd: cmd, port: port, path: p.path, position: p.position}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	s.poster = newPoster(addr, o.TLS, p.api)
	if err = others.AwaitListen(addr, startTimeout, ended); err != nil {
		s.Close()
		text, _ := os.ReadFile(said.Name())
		return nil, fmt.Errorf("%s: %w: %s", filepath.Base(p.name), err, text[:min(len(text), 1000)])
	}
	return s, nil
}

// Serve is not called: the process does.
func (s *outside) Serve(net.Listener) error { return errors.New("another process serves") }

// PID implements [server.Outside].
func (s *outside) PID() int { return s.cmd.Process.Pid }

// Port implements [server.Outside].
func (s *outside) Port() int { return s.port }

// Close implements [server.Outside].
func (s *outside) Close() { _ = s.cmd.Process.Kill() }

// Path implements [server.Pather].
func (s *outside) Path(kind stamp.Kind) string { return s.path(kind) }

// Position implements [server.Positioner].
func (s *outside) Position() string {
	answer := s.answered()
	if s.position == nil || answer == nil {
		return ""
	}
	return s.position(answer)
}

// fixed is a path that is the same for all events.
func fixed(path string) func(posted) string { return func(posted) string { return path } }

// certificate returns the files of the certificate.
func certificate(o server.Options) (cert, key string) {
	return filepath.Join(o.Certs, server.CertFile), filepath.Join(o.Certs, server.KeyFile)
}
