package run_test

import (
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/spatehub/spate/loadtest/internal/calibrate"
	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/procs"
	"github.com/spatehub/spate/loadtest/internal/report"
	"github.com/spatehub/spate/loadtest/internal/run"
	"github.com/spatehub/spate/loadtest/internal/session"
)

func TestMain(m *testing.M) {
	// Under the race detector each worker would sleep for a second at its end.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")); err != nil {
		panic(err)
	}
	procs.Main() // worker processes of these tests are this program
	serverMain() // and so is the server that is stopped
	agentMain()  // and agents
	goleak.VerifyTestMain(m)
}

// way is one of the ways in which streams are read.
type way struct {
	name     string
	mode     string
	identity bool
	tls      bool
	http2    bool
	fork     int
}

var ways = []way{
	{name: "raw", mode: config.ModeRaw},
	{name: "raw-identity", mode: config.ModeRaw, identity: true},
	{name: "raw-2-processes", mode: config.ModeRaw, fork: 2},
	{name: "portable", mode: config.ModePortable},
	{name: "portable-tls", mode: config.ModePortable, tls: true},
	{name: "portable-http2", mode: config.ModePortable, tls: true, http2: true},
}

// eachWay runs one test body over all of them.
func eachWay(t *testing.T, body func(t *testing.T, w way)) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			if w.mode == config.ModeRaw && !config.RawSupported() {
				t.Skip("raw mode needs Linux")
			}
			body(t, w)
		})
	}
}

// serve starts a calibration server and returns a configuration for it.
func (w way) serve(t *testing.T, f calibrate.Faults) (config.Config, *calibrate.Server) {
	t.Helper()
	f.Identity = w.identity
	cal := calibrate.New(f)
	srv := httptest.NewUnstartedServer(cal)
	srv.EnableHTTP2 = w.http2
	c := quick()
	if w.tls {
		srv.StartTLS()
		c.CACert = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	c.URL, c.Mode, c.HTTP2 = srv.URL, w.mode, w.http2
	if w.fork > 0 {
		c.Procs, c.Fork = w.fork, true
	}
	return c, cal
}

// quick is a configuration for short tests. What a busy machine does to
// delays is not their subject.
func quick() config.Config {
	c := config.Default()
	c.Streams, c.Connections, c.ConnectRate = 10, 2, 10_000
	c.Settle, c.Interval, c.Drain = 0, 100*time.Millisecond, 1500*time.Millisecond
	c.Rate, c.Duration, c.Events = "1000/s", time.Minute, 200
	c.MaxLag, c.MaxBusy = 0, 0
	return c
}

func conduct(t *testing.T, c config.Config) *report.Result {
	t.Helper()
	r, err := run.Run(t.Context(), c, nil)
	require.NoError(t, err)
	return r
}

// inTime conducts runs with something at a moment, until the machine was not so
// busy that the moment came before the first event, or after the last one.
func inTime(t *testing.T, w way, f calibrate.Faults, change func(c *config.Config), ok func(r *report.Result) bool) (*report.Result, calibrate.Truth) {
	t.Helper()
	for range 20 {
		c, cal := w.serve(t, f)
		change(&c)
		if r := conduct(t, c); ok(r) {
			return r, cal.Truth()
		}
	}
	require.Fail(t, "never in time")
	return nil, calibrate.Truth{}
}

// A sound server: everything arrives once and nothing is found fault with.
func TestSoundServer(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		c, cal := w.serve(t, calibrate.Faults{})
		c.Topics, c.TopicsPerStream, c.To = 7, 2, "broadcast=1,users=2,topics=2"
		c.CheckIDs = true
		if w.mode == config.ModeRaw {
			c.Loops = 2
		}
		c.Size = "50-300"
		r := conduct(t, c)
		require.Equal(t, report.Checks{}, r.Checks)
		require.EqualValues(t, 200, r.Published.Events)
		require.Equal(t, cal.Truth().Sent, r.Deliveries.Count)
		require.EqualValues(t, r.Deliveries.Expected, r.Deliveries.Count)
		require.Equal(t, r.Deliveries.Count, r.Latency.Count)
		require.EqualValues(t, 10, r.Streams.Opened)
		connections := 10
		if w.http2 {
			connections = 1 // which all streams share
		}
		require.EqualValues(t, connections, r.Connect.Count)
		require.EqualValues(t, 10, r.TTFB.Count)
		require.Zero(t, r.Streams.Disconnects)
		require.Empty(t, r.Errors)
		require.Equal(t, report.ExitOK, r.ExitCode())
	})
}

// Every fault that the server commits is found and counted, no more, no less.
func TestEveryFaultIsCounted(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		c, cal := w.serve(t, calibrate.Faults{Drop: 10, Double: 9, Swap: 7, Misaddress: 8, Corrupt: 11})
		c.Events = 201
		r := conduct(t, c)
		truth := cal.Truth()
		for _, n := range []int64{truth.Dropped, truth.Doubled, truth.Swapped, truth.Misaddressed, truth.Corrupted} {
			require.NotZero(t, n)
		}
		require.EqualValues(t, 201, truth.Pushed)
		require.EqualValues(t, truth.Dropped, r.Checks.Lost)
		require.Equal(t, truth.Doubled, r.Checks.Duplicates)
		require.Equal(t, truth.Misaddressed, r.Checks.Misaddressed)
		require.Equal(t, truth.Corrupted, r.Checks.Corrupt)
		require.Equal(t, truth.Sent, r.Deliveries.Count)
		require.EqualValues(t, 10*201, r.Deliveries.Expected)
		// Two neighbours swapped are out of order only if the same connection
		// published both; TestSwaps counts these exactly.
		require.LessOrEqual(t, r.Checks.Disorder, truth.Swapped)
	})
}

// With one publishing connection, every swap is an event out of order.
func TestSwaps(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		c, cal := w.serve(t, calibrate.Faults{Swap: 7})
		c.Connections, c.CheckIDs = 1, true
		r := conduct(t, c)
		truth := cal.Truth()
		require.NotZero(t, truth.Swapped)
		require.Equal(t, truth.Swapped, r.Checks.Disorder)
		require.Equal(t, truth.Swapped, r.Checks.IDDisorder)
		require.Zero(t, r.Checks.Lost)
		require.Zero(t, r.Checks.Duplicates)
	})
}

// A known distribution of delays comes back within 2 % at p50 and p99.
func TestKnownDelaysAreRecovered(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		const streams, events = 100, 10
		delay := func(stream int) time.Duration {
			return 30*time.Second + time.Duration(stream)*400*time.Millisecond // up to 69.6 s
		}
		c, _ := w.serve(t, calibrate.Faults{Backdate: func(uid string) time.Duration {
			n, err := strconv.Atoi(uid[1:])
			if err != nil {
				panic(err)
			}
			return delay(n)
		}})
		c.Streams, c.Rate, c.Events = streams, "100/s", events
		r := conduct(t, c)
		require.EqualValues(t, streams*events, r.Latency.Count)
		require.InEpsilon(t, int64(delay(streams/2-1)), r.Latency.P50, 0.02)
		require.InEpsilon(t, int64(delay(streams*99/100-1)), r.Latency.P99, 0.02)
		require.GreaterOrEqual(t, r.Latency.Min, int64(delay(0)))
	})
}

// The same with a server that really waits, from 600 to 1392 ms, compared with
// what it really did: a benchmark, because a busy machine adds delays of its own.
func BenchmarkKnownDelays(b *testing.B) {
	cal := calibrate.New(calibrate.Faults{Delay: func(uid string) time.Duration {
		n, err := strconv.Atoi(uid[1:])
		require.NoError(b, err)
		return 600*time.Millisecond + time.Duration(n)*8*time.Millisecond
	}})
	srv := httptest.NewServer(cal)
	defer srv.Close()
	for b.Loop() {
		c := quick()
		c.URL, c.Streams, c.Rate, c.Events = srv.URL, 100, "50/s", 100
		r, err := run.Run(b.Context(), c, nil)
		require.NoError(b, err)
		truth := cal.Delays()
		off := func(got int64, q int) float64 {
			want := float64(truth[len(truth)*q/100-1])
			return (float64(got)/want - 1) * 100
		}
		b.ReportMetric(off(r.Latency.P50, 50), "p50-error-%")
		b.ReportMetric(off(r.Latency.P99, 99), "p99-error-%")
	}
}

// Streams that drop and come back with Last-Event-ID are owed what they missed.
func TestChurnAndStorm(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		r, truth := inTime(t, w, calibrate.Faults{}, func(c *config.Config) {
			c.Churn, c.Away, c.Storms = 0.5, 30*time.Millisecond, []config.Storm{{At: 250 * time.Millisecond, Share: 1}}
			c.Events = 500
		}, func(r *report.Result) bool { return r.Streams.Dropped == r.Streams.Resumed && r.Streams.Dropped >= 10 })
		require.Equal(t, report.Checks{NoIDs: true}, r.Checks)
		require.Equal(t, truth.Resumed, r.Streams.Resumed)
		require.NotZero(t, r.Resume.Count)
		require.LessOrEqual(t, r.Resume.Count, r.Streams.Resumed, "a stream may be dropped again before it has caught up")
		require.NotZero(t, r.Deliveries.Replayed)
		require.EqualValues(t, 10*500, r.Deliveries.Count)
	})
}

// What a resend leaves out is lost.
func TestIncompleteResend(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		r, truth := inTime(t, w, calibrate.Faults{SkipResumed: 3}, func(c *config.Config) {
			c.Storms, c.Away, c.Events = []config.Storm{{At: 100 * time.Millisecond, Share: 0.5}}, 50*time.Millisecond, 400
		}, func(r *report.Result) bool { return r.Streams.Resumed == 5 && r.Checks.LostTail == 0 })
		require.EqualValues(t, 5*3, truth.Skipped)
		require.EqualValues(t, truth.Skipped, r.Checks.Lost)
		require.Zero(t, r.Checks.Duplicates)
		require.Zero(t, r.Resume.Count, "no stream ever had all that it was owed")
	})
}

// Slow streams are behind at the end, stalled ones are owed nothing, and neither
// shows in the others' latency.
func TestSlowAndStalledStreams(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		c, _ := w.serve(t, calibrate.Faults{})
		c.Slow, c.Stall, c.SlowRate, c.Size = 0.2, 0.3, 1000, "2000"
		c.Drain = time.Second
		r := conduct(t, c)
		require.Zero(t, r.Checks.Lost)
		require.NotZero(t, r.Checks.Unread)
		require.EqualValues(t, 5*200, r.Latency.Count, "5 of 10 streams read normally")
	})
}

// Failed pushes are not loss: nobody was to get these events.
func TestRefusedPushesAreNotLoss(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		calls := make(chan struct{}, 1000)
		c, cal := w.serve(t, calibrate.Faults{GatePush: func(rw http.ResponseWriter, _ *http.Request) bool {
			calls <- struct{}{}
			if len(calls)%10 == 5 {
				http.Error(rw, "busy", http.StatusServiceUnavailable)
				return true
			}
			return false
		}})
		r := conduct(t, c)
		require.NotZero(t, r.Published.Failed)
		require.EqualValues(t, 200, r.Published.Events+r.Published.Failed)
		require.Equal(t, cal.Truth().Pushed, r.Published.Events)
		require.Zero(t, r.Checks.Lost)
		require.EqualValues(t, map[string]int64{"push: status 503": r.Published.Failed}, r.Published.Errors)
	})
}

// Streams that the server ends come back by themselves and miss nothing.
func TestServerEndsStreams(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		c, cal := w.serve(t, calibrate.Faults{EndAfter: 60})
		c.Retry = 20 * time.Millisecond
		r := conduct(t, c)
		require.GreaterOrEqual(t, r.Streams.Disconnects, int64(10))
		require.Equal(t, r.Streams.Disconnects, r.Errors.Total())
		require.Equal(t, cal.Truth().Ended, r.Streams.Disconnects)
		require.Zero(t, r.Checks.Lost)
		require.Zero(t, r.Checks.Duplicates)
		require.EqualValues(t, 10*200, r.Deliveries.Count)
	})
}

// Without IDs a stream cannot resume: it is owed what is published after it is
// back, and nothing of what it was away for.
func TestReconnectWithoutIDs(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		r, truth := inTime(t, w, calibrate.Faults{NoIDs: true}, func(c *config.Config) {
			c.Storms, c.Away, c.Events = []config.Storm{{At: 100 * time.Millisecond, Share: 0.5}}, 100*time.Millisecond, 400
			c.Rate = "500/s"
		}, func(r *report.Result) bool { return r.Streams.Dropped == 5 && r.Deliveries.Count < 10*400 })
		require.Zero(t, r.Streams.Resumed)
		require.Zero(t, truth.Resumed)
		require.Equal(t, r.Checks.LostAtJoin, r.Checks.Lost, "at most what was on its way while the stream joined")
	})
}

// A very long run's timeline is thinned without losing a count.
func TestLongTimelines(t *testing.T) {
	var list []report.Point
	for i := range 7 {
		list = append(list, report.Point{At: float64(i + 1), Span: 1, Deliveries: int64(i), P99: int64(i), TesterCPU: float64(i)})
	}
	half := run.Halve(list)
	require.Len(t, half, 4)
	require.Equal(t, report.Point{At: 4, Span: 2, Deliveries: 5, P99: 3, TesterCPU: 2.5}, half[1])
	require.Equal(t, list[6], half[3])
}

// An interrupt ends the run soon, with the figures so far.
func TestInterrupt(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		c, cal := w.serve(t, calibrate.Faults{})
		c.Events, c.Rate = 0, "100/s"
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r, err := run.Run(ctx, c, func(_ report.Point, sofar *session.Stats) {
			if sofar.Deliveries > 20 {
				cancel()
			}
		})
		require.NoError(t, err)
		require.True(t, r.Interrupted)
		require.Less(t, r.Seconds.Publish, 30.0)
		require.NotZero(t, r.Deliveries.Count)
		require.Equal(t, cal.Truth().Sent, r.Deliveries.Count)
		require.Zero(t, r.Checks.Lost)
	})
}

// A run that cannot begin, here for want of memory to share with workers, leaves the process as it was.
func TestFailedBeginIsUndone(t *testing.T) {
	if !config.RawSupported() {
		t.Skip("raw mode needs Linux")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	c, _ := way{mode: config.ModeRaw, fork: 2}.serve(t, calibrate.Faults{})
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none"))
	_, err := run.Run(t.Context(), c, nil)
	require.ErrorContains(t, err, "memory to share")
	require.Equal(t, 1, runtime.GOMAXPROCS(0))
}
