//go:build linux

package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spatehub/spate/bench/internal/reader"
	"github.com/spatehub/spate/bench/internal/rig"
	"github.com/spatehub/spate/loadtest/load"
	"github.com/spatehub/spate/loadtest/stamp"
)

// byLoadtest is the steady work with loadtest as the load, in its place: on the processor of the load, in a process of
// its own. The server publishes as in the other works.
func byLoadtest(server string, o options) (s sample, err error) {
	const streams, rate = 1000, 100
	r, err := rig.New(server, rig.Load{Kind: stamp.Broadcast, Burst: 256})
	if err != nil {
		return s, err
	}
	defer r.Close()
	info, err := r.Info()
	if err != nil {
		return s, err
	}
	restore, err := rig.BindLoad()
	if err != nil {
		return s, err
	}
	defer restore()

	c := load.Default()
	c.Adapter, c.Publish, c.Resume, c.Fork = "none", false, false, true
	c.URL = fmt.Sprintf("http://127.0.0.1:%d%s", info.Port, strings.ReplaceAll(info.Path, "{n}", "{{.N}}"))
	c.Mode, c.Streams, c.Connections = load.ModeRaw, streams, 1
	c.RunID = strconv.FormatUint(loadtestRun, 16)
	c.Settle, c.Interval = settle, 100*time.Millisecond
	// Without a publisher of its own, loadtest does not know what is missing: it listens a while longer.
	c.Duration, c.Drain = o.span+3*time.Second, time.Second
	ctx, cancel := context.WithTimeout(context.Background(), c.Duration+time.Minute)
	defer cancel()
	open := make(chan struct{}, 1)
	done := make(chan error, 1)
	var res *load.Result
	go func() {
		var err error
		res, err = load.RunWatched(ctx, c, func(n, _ int64) {
			if n == streams {
				select {
				case open <- struct{}{}:
				default:
				}
			}
		})
		done <- err
	}()
	select {
	case <-open:
	case err = <-done:
		return s, fmt.Errorf("loadtest ended early: %w", err)
	}
	time.Sleep(settle + 200*time.Millisecond)
	before, err := r.Usage(false)
	if err != nil {
		return s, err
	}
	rep, err := r.Publish(loadtestRun, rig.Work{Rate: rate, Size: eventSize, Duration: o.span})
	if err == nil {
		err = <-done
	}
	if err != nil {
		return s, err
	}
	after, err := r.Usage(false)
	if err != nil {
		return s, err
	}
	got := uint64(res.Deliveries.Count)
	s.counts = reader.Counts{
		Deliveries: got, Lost: streams*(rep.Total-rep.First) - min(got, streams*(rep.Total-rep.First)),
		Duplicates: uint64(res.Checks.Duplicates), Disorder: uint64(res.Checks.Disorder),
		Misaddressed: uint64(res.Checks.Misaddressed), Corrupt: uint64(res.Checks.Corrupt),
		Ended: uint64(res.Streams.Disconnects),
	}
	s.fault = s.counts.String()
	s.values = []float64{
		micros(time.Duration(after.CPU-before.CPU)) / float64(max(1, got)),
		float64(res.Latency.P50) / 1e3, float64(res.Latency.P99) / 1e3, float64(res.Latency.Max) / 1e3,
	}
	return s, nil
}

// loadtestRun stamps the events of the runs with loadtest.
const loadtestRun = 0x10ad
