package load_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spatehub/spate/loadtest/internal/calibrate"
	"github.com/spatehub/spate/loadtest/load"
)

const blasterEnv = "LOADTEST_BLASTER_PEERS"

// init makes this process a blaster if it was started as one. It prints where
// it listens, and ends when its standard input does.
func init() {
	peers, ok := os.LookupEnv(blasterEnv)
	if !ok {
		return
	}
	b, err := calibrate.NewBlaster(0, strings.Fields(peers))
	if err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("%d http://%s/push\n", b.Port(), l.Addr())
	go func() { panic(http.Serve(l, b)) }()
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// blaster starts one in a process of its own.
func blaster(b testing.TB, peers []string) (port int, push string, pid int) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), blasterEnv+"="+strings.Join(peers, " "))
	in, err := cmd.StdinPipe()
	require.NoError(b, err)
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(b, err)
	first, second, _ := strings.Cut(strings.TrimSpace(line), " ")
	port, err = strconv.Atoi(first)
	require.NoError(b, err)
	return port, second, cmd.Process.Pid
}

// reach is a run against bare write loops, its streams in processes of their own.
func reach(b *testing.B, servers int, change func(c *load.Config)) *load.Result {
	c := load.Default()
	var pushes []string
	for k := range servers {
		var peers []string
		if k == servers-1 {
			peers = pushes
		}
		port, push, pid := blaster(b, peers)
		pushes = append(pushes, push)
		c.Dests = append(c.Dests, fmt.Sprintf("127.0.0.1:%d", port))
		c.ServerPID = pid
	}
	c.URL, c.PushURL = "http://"+c.Dests[0], pushes[servers-1]
	c.Fork, c.Connections, c.MaxLag, c.MaxBusy = true, 1, 0, 0
	c.RampTimeout, c.Drain = 2*time.Minute, 20*time.Second
	change(&c)
	r, err := load.Run(b.Context(), c)
	require.NoError(b, err)
	require.Zero(b, r.Checks.Lost)
	require.EqualValues(b, c.Streams, r.Streams.Peak)
	return r
}

func metrics(b *testing.B, r *load.Result) {
	b.ReportMetric(float64(r.Streams.Peak), "streams")
	b.ReportMetric(float64(r.Tester.RSSPeak)/(1<<20), "MiB-readers")
	b.ReportMetric(r.Deliveries.PerSecond, "deliveries/s")
	b.ReportMetric(float64(r.Latency.P50)/1e6, "p50-ms")
	b.ReportMetric(float64(r.Latency.P99)/1e6, "p99-ms")
	b.ReportMetric(r.Seconds.Ramp, "ramp-s")
	b.ReportMetric(r.Tester.Busy, "busy")
}

// 15,000 streams in one process.
func BenchmarkStreams15k(b *testing.B) {
	for b.Loop() {
		metrics(b, reach(b, 1, func(c *load.Config) {
			c.Streams, c.ConnectRate, c.Rate, c.Duration = 15_000, 8000, "2/s", 5*time.Second
		}))
	}
}

// 60,000 streams in four processes, on four servers.
func BenchmarkStreams60k(b *testing.B) {
	for b.Loop() {
		metrics(b, reach(b, 4, func(c *load.Config) {
			c.Streams, c.Procs, c.ConnectRate, c.Rate, c.Duration = 60_000, 4, 8000, "1/s", 6*time.Second
		}))
	}
}

// How many events one event loop reads and checks, if the server joins them
// into large writes.
func BenchmarkEventsPerSecond(b *testing.B) {
	for b.Loop() {
		r := reach(b, 1, func(c *load.Config) {
			c.Streams, c.Rate, c.Duration, c.Batch = 100, "max", 5*time.Second, 500
		})
		metrics(b, r)
		// What the loop could do if it were busy all the time.
		b.ReportMetric(r.Deliveries.PerSecond/r.Tester.Busy, "events/s-of-one-loop")
	}
}

// The same run in both modes.
func BenchmarkRawAgainstPortable(b *testing.B) {
	for _, mode := range []string{load.ModeRaw, load.ModePortable} {
		b.Run(mode, func(b *testing.B) {
			for b.Loop() {
				r := reach(b, 1, func(c *load.Config) {
					c.Streams, c.Mode, c.Rate, c.Duration = 200, mode, "100/s", 5*time.Second
				})
				metrics(b, r)
				b.ReportMetric(float64(r.Deliveries.Count), "deliveries")
				b.ReportMetric(r.Tester.CPUShare, "cpus")
			}
		})
	}
}

// How late loadtest itself is where streams, publisher and timers share one processor
// and the server has another, as docs/loadtest.md advises.
func BenchmarkOwnDelay(b *testing.B) {
	var cpus unix.CPUSet
	require.NoError(b, unix.SchedGetaffinity(0, &cpus))
	if cpus.Count() < 2 {
		b.Skip("needs two processors")
	}
	pin(b, os.Getpid(), 1)
	b.Cleanup(func() { bind(b, os.Getpid(), &cpus) })
	for b.Loop() {
		r := reach(b, 1, func(c *load.Config) {
			pin(b, c.ServerPID, 0)
			c.Fork = false
			c.Streams, c.Rate, c.Duration, c.Connections = 1000, "100/s", 10*time.Second, 4
		})
		metrics(b, r)
		b.ReportMetric(float64(r.Tester.Wake.P99)/1e6, "wake-p99-ms")
		b.ReportMetric(float64(r.Tester.Lag.P99)/1e6, "lag-p99-ms")
		b.ReportMetric(r.Tester.CPUShare/r.Deliveries.PerSecond*1e6, "cpu-µs/event")
	}
}

// pin binds all threads of a process to one processor.
func pin(b *testing.B, pid, cpu int) {
	var one unix.CPUSet
	one.Set(cpu)
	bind(b, pid, &one)
}

func bind(b *testing.B, pid int, set *unix.CPUSet) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	require.NoError(b, err)
	for _, t := range tasks {
		id, err := strconv.Atoi(t.Name())
		require.NoError(b, err)
		if err := unix.SchedSetaffinity(id, set); err != unix.ESRCH {
			require.NoError(b, err)
		}
	}
}
