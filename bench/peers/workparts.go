//go:build linux

package main

import (
	"errors"
	"math"
	"time"

	"github.com/spatehub/spate/bench/internal/rig"
	"github.com/spatehub/spate/bench/internal/server"
	"github.com/spatehub/spate/loadtest/stamp"
)

// idle is what connecting costs, and what each idle stream holds then.
type idle struct {
	memory     float64 // KiB a stream
	goroutines float64 // a stream; NaN of a process
	cpu        float64 // µs a connection
	rate       float64 // connections a second
}

// connectIdle opens all streams of a rig and looks at them before anything is published.
func connectIdle(r *rig.Rig, n int) (i idle, err error) {
	before, err := r.Usage(true)
	if err != nil {
		return i, err
	}
	c, err := r.Connect(inFlight)
	if err != nil {
		return i, err
	}
	time.Sleep(settle)
	after, err := r.Usage(true)
	i = idle{
		memory:     float64(after.RSS-before.RSS) / 1024 / float64(n),
		goroutines: float64(after.Goroutines-before.Goroutines) / float64(n),
		cpu:        micros(c.CPU) / float64(n),
		rate:       float64(n) / c.Elapsed.Seconds(),
	}
	if after.Goroutines == 0 {
		i.goroutines = math.NaN()
		if n < tellingStreams {
			i.memory = math.NaN()
		}
	}
	return i, err
}

// tellingStreams is how many streams there have to be for the memory of a process, which collects garbage when it likes,
// to say something about one of them.
const tellingStreams = 2000

// many measures connecting and idleness before it publishes.
func many(name string, o options) (sample, error) {
	n := o.streams(10000)
	load, w := rig.Load{Streams: n, Kind: stamp.Broadcast}, rig.Work{Rate: 2, Size: eventSize, Duration: o.span * 3 / 2}
	return latency(name, load, w, func(r *rig.Rig) ([]float64, error) {
		i, err := connectIdle(r, n)
		return []float64{i.memory, i.goroutines, i.cpu, i.rate}, err
	})
}

// overTLS does the same over TLS.
func overTLS(name string, o options) (sample, error) {
	load := everyone(o.streams(1000))
	load.TLS = true
	return latency(name, load, rig.Work{Rate: 20, Size: eventSize, Duration: o.span}, func(r *rig.Rig) ([]float64, error) {
		i, err := connectIdle(r, load.Streams)
		return []float64{i.memory, i.cpu}, err
	})
}

// compressed does it with gzip, and counts bytes.
func compressed(name string, o options) (sample, error) {
	load := everyone(o.streams(500))
	load.Gzip = true
	w := rig.Work{Rate: 20, Size: 1000, JSON: true, Duration: o.span}
	s, err := latency(name, load, w, func(r *rig.Rig) ([]float64, error) {
		i, err := connectIdle(r, load.Streams)
		return []float64{math.NaN(), i.memory}, err
	})
	if len(s.values) > 0 && s.counts.Deliveries > 0 {
		s.values[0] = float64(s.counts.Bytes) / float64(s.counts.Deliveries)
	}
	return s, err
}

// unicast measures events for single users. The server that sends nothing has no streams.
func unicast(name string, o options) (sample, error) {
	load := rig.Load{Streams: o.streams(10000), Kind: stamp.User}
	if name == server.Schedule {
		load.Streams, load.Targets = 0, load.Streams
	}
	return latency(name, load, rig.Work{Rate: 10000, Size: eventSize, Duration: o.span}, nil)
}

// missed is how many events each stream of the storm is owed.
const missed = 100

// resume has all streams come back at once.
func resume(name string, o options) (s sample, err error) {
	load := everyone(o.streams(2000))
	load.History = true
	r, err := open(name, load)
	if err != nil {
		return s, err
	}
	defer r.Close()
	if f, err := r.Run(rig.Work{Rate: 1000, Events: 10, Size: eventSize, Duration: time.Second}); err != nil || f.Stuck {
		return sample{fault: f.Faults()}, err
	}
	m, err := r.Mark()
	if err != nil {
		return s, err
	}
	if m.LastID == "" {
		return s, errors.New("the server tells no position to resume from")
	}
	rep, err := r.Again(rig.Work{Rate: 1000, Events: missed, Size: eventSize, Duration: time.Second})
	if err != nil || rep.Stuck {
		return sample{fault: stuck}, err
	}
	got, err := r.Resume(inFlight, m)
	if err != nil {
		return s, err
	}
	f := &got.Figures
	return sample{
		values: []float64{
			micros(got.CPU) / float64(load.Streams), f.PerDelivery(), micros(got.Latency.P99), f.Elapsed.Seconds() * 1e3,
		},
		counts: f.Counts, fault: f.Faults(),
	}, nil
}

// churn measures the streams that stay while others come and go.
func churn(name string, o options) (s sample, err error) {
	load := everyone(o.streams(500))
	load.Churn, load.Stay = o.streams(200), 5
	r, err := open(name, load)
	if err != nil {
		return s, err
	}
	defer r.Close()
	if _, err = r.Connect(inFlight); err != nil {
		return s, err
	}
	time.Sleep(settle)
	w := rig.Work{Rate: 50, Size: eventSize, Duration: warmUp}
	if f, err := r.Run(w); err != nil || f.Stuck {
		return sample{fault: f.Faults()}, err
	}
	w.Duration = o.span
	f, err := r.Run(w)
	return sample{
		values: []float64{
			float64(f.Reopened) / f.Elapsed.Seconds(), micros(f.ServerCPU) / float64(max(1, f.Deliveries+f.Passed)),
			micros(f.Latency.P50), micros(f.Latency.P99), micros(f.Latency.Max),
		},
		counts: f.Counts, fault: f.Faults(),
	}, err
}
