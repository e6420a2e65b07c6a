//go:build unix

package run_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/internal/calibrate"
	"github.com/spatehub/spate/loadtest/internal/report"
	"github.com/spatehub/spate/loadtest/internal/run"
	"github.com/spatehub/spate/loadtest/internal/session"
)

const serverEnv = "LOADTEST_CALIBRATION_SERVER"

// serverMain makes this process a calibration server if it was started as one.
// It ends when its standard input does.
func serverMain() {
	if os.Getenv(serverEnv) == "" {
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("http://%s\n", l.Addr())
	go func() { panic(http.Serve(l, calibrate.New(calibrate.Faults{}))) }()
	_, _ = os.Stdin.Read(make([]byte, 1))
	os.Exit(0)
}

// A server that stands still for 2 s shows, although nobody sends meanwhile: no
// coordinated omission.
func TestStoppedServerShows(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serverEnv+"=1")
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	defer func() {
		_ = in.Close()
		require.NoError(t, cmd.Wait())
	}()
	address, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)

	const still = 2 * time.Second
	c := quick()
	c.URL, c.Streams, c.Rate, c.Events, c.Duration = address[:len(address)-1], 5, "1000/s", 0, 4*time.Second
	c.ServerPID = cmd.Process.Pid
	c.Expect = []string{"p99.9<1s", "lost==0"}
	var once sync.Once
	var stopped time.Time
	resumed := make(chan time.Duration, 1) // after so long
	r, err := run.Run(t.Context(), c, func(_ report.Point, sofar *session.Stats) {
		if sofar.Deliveries > 1000 {
			once.Do(func() {
				stopped = time.Now()
				if cmd.Process.Signal(syscall.SIGSTOP) == nil {
					time.AfterFunc(still, func() {
						if cmd.Process.Signal(syscall.SIGCONT) == nil {
							resumed <- time.Since(stopped)
						}
						close(resumed)
					})
				}
			})
		}
	})
	require.NoError(t, err)
	stood := <-resumed // by how much it is more than still is up to the machine
	require.NotZero(t, stood)
	require.GreaterOrEqual(t, r.Latency.P999, int64(still-400*time.Millisecond))
	require.LessOrEqual(t, r.Latency.P999, int64(stood+still/2))
	require.Greater(t, r.Latency.P90, int64(time.Second), "half of the events were due while the server stood still")
	require.Zero(t, r.Checks.Lost)
	require.EqualValues(t, 4000, r.Published.Events)
	require.Equal(t, report.ExitUnexpected, r.ExitCode())
	require.NotZero(t, r.Server.RSSPeak)
	require.NotZero(t, r.Server.CPUPerDeliver)
}
