//go:build linux

package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
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
	r, err := open(server, rig.Load{Kind: stamp.Broadcast, Burst: 256})
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
	c.URL = fmt.Sprintf("http://127.0.0.1:%d%s", info.Port, strings.NewReplacer("{n}", "{{.N}}", "{last}", "").Replace(info.Path))
	c.Mode, c.Streams, c.Connections = load.ModeRaw, streams, 1
	c.RunID = strconv.FormatUint(loadtestRun, 16)
	c.Settle, c.Interval, c.Drain = settle, 50*time.Millisecond, time.Second
	c.Duration = o.span + time.Minute // it is ended when all has come
	ctx, cancel := context.WithTimeout(context.Background(), c.Duration)
	defer cancel()
	var open, got atomic.Int64
	done := make(chan error, 1)
	var res *load.Result
	go func() {
		var err error
		res, err = load.RunWatched(ctx, c, func(n, deliveries int64) {
			open.Store(n)
			got.Store(deliveries)
		})
		done <- err
	}()
	if err := await(done, time.Minute, func() bool { return open.Load() == streams }); err != nil {
		return s, err
	}
	time.Sleep(settle + 200*time.Millisecond)
	// As for the other load: a little unmeasured first.
	if _, err := r.Publish(loadtestRun+1, rig.Work{Rate: rate, Size: eventSize, Duration: warmUp}); err != nil {
		return s, err
	}
	time.Sleep(settle)
	before, err := r.Usage(false)
	if err != nil {
		return s, err
	}
	rep, err := r.Publish(loadtestRun, rig.Work{Rate: rate, Size: eventSize, Duration: o.span})
	if err != nil {
		return s, err
	}
	owed := streams * int64(rep.Total-rep.First)
	last, since := int64(0), time.Now()
	err = await(done, time.Minute, func() bool {
		if n := got.Load(); n != last {
			last, since = n, time.Now()
		}
		return last >= owed || time.Since(since) > time.Second
	})
	if err != nil {
		return s, err
	}
	after, err := r.Usage(false) // before the streams are closed, which costs a server as well
	if err != nil {
		return s, err
	}
	cancel()
	if err := <-done; err != nil {
		return s, err
	}
	s.counts = reader.Counts{
		Deliveries: uint64(res.Deliveries.Count), Lost: uint64(max(0, owed-res.Deliveries.Count)),
		Duplicates: uint64(res.Checks.Duplicates), Disorder: uint64(res.Checks.Disorder),
		Misaddressed: uint64(res.Checks.Misaddressed), Corrupt: uint64(res.Checks.Corrupt),
		Ended: uint64(res.Streams.Disconnects),
	}
	s.fault = s.counts.String()
	s.values = []float64{
		micros(time.Duration(after.CPU-before.CPU)) / float64(max(1, res.Deliveries.Count)),
		float64(res.Latency.P50) / 1e3, float64(res.Latency.P99) / 1e3, float64(res.Latency.Max) / 1e3,
	}
	return s, nil
}

// await waits until ok holds, but no longer than limit, and fails if loadtest ends before.
func await(ended chan error, limit time.Duration, ok func() bool) error {
	end := time.Now().Add(limit)
	for !ok() {
		select {
		case err := <-ended:
			return fmt.Errorf("loadtest ended early: %w", err)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(end) {
			return fmt.Errorf("nothing for %v", limit)
		}
	}
	return nil
}

// loadtestRun stamps the events of the runs with loadtest.
// The unmeasured ones before have the next number.
const loadtestRun = 0x10ad
