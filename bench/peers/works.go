//go:build linux

package main

import (
	"slices"
	"time"

	"github.com/spatehub/spate/bench/internal/reader"
	"github.com/spatehub/spate/bench/internal/rig"
	"github.com/spatehub/spate/bench/internal/server"
	"github.com/spatehub/spate/loadtest/stamp"
)

// work is one kind of load, and one table.
type work struct {
	name    string
	title   string
	text    string // what the table shows
	columns []column
	without []string // servers that it is not for
	also    []string // servers that are for it alone
	rounds  int      // most rounds; 0 = as many as are asked for
	least   int      // fewest rounds of a run that is not short
	run     func(name string, o options) (sample, error)
}

// among returns those of the servers that the work is for.
func (w *work) among(servers []string) []string {
	list := slices.DeleteFunc(slices.Clone(servers), func(s string) bool { return slices.Contains(w.without, s) })
	return append(list, w.also...)
}

// times is how many rounds the work has.
func (w *work) times(o options) int {
	n := o.rounds
	if w.rounds > 0 {
		n = min(n, w.rounds)
	}
	if !o.short {
		n = max(n, w.least)
	}
	return n
}

// column is one figure of a table.
type column struct {
	head   string
	digits int
	floor  string // server that the figure is divided by, in brackets; "" = none
}

// sample is what one run of a work on one server gave.
type sample struct {
	values []float64 // one for each column; nil if there was no run
	counts reader.Counts
	fault  string
}

const (
	eventSize  = 200
	inFlight   = 128 // connections under way while streams are opened
	flatWindow = 512
	settle     = 300 * time.Millisecond
	warmUp     = 500 * time.Millisecond // published before what is measured
)

var works = []work{
	{
		name: "steady", title: "1,000 streams × 100 events/s",
		text:    "200-byte events to everyone on schedule.",
		columns: latencyColumns(), without: []string{"floor-batch-go"}, least: comparedRounds,
		run: func(name string, o options) (sample, error) {
			load := rig.Load{Streams: 1000, Kind: stamp.Broadcast, Burst: 256}
			return latency(name, load, rig.Work{Rate: 100, Size: eventSize, Duration: o.span}, nil)
		},
	},
	{
		name: "kilobyte", title: "1,000 streams × 100 events/s of 1 kB",
		text:    "1,000-byte events to everyone on schedule.",
		columns: latencyColumns(), without: []string{"floor-batch-go"},
		run: func(name string, o options) (sample, error) {
			load := rig.Load{Streams: 1000, Kind: stamp.Broadcast, Burst: 256}
			return latency(name, load, rig.Work{Rate: 100, Size: 1000, Duration: o.span}, nil)
		},
	},
	{
		name: "loadtest", title: "The same, loaded by loadtest",
		text:    "Two independent loads: what they find has to agree, and whether it does is computed below.",
		columns: latencyColumns(), without: []string{"floor-batch-go"}, least: comparedRounds,
		run: byLoadtest,
	},
	{
		name: "many", title: "10,000 streams: memory, connecting, 2 events/s",
		text: "Resident memory and goroutines that one idle stream adds, after all have connected at once and a garbage " +
			"collection; what a connection costs; then 200-byte events to everyone on schedule.",
		columns: append([]column{
			{head: "KiB/stream", digits: 2}, {head: "goroutines/stream", digits: 2},
			{head: "CPU µs/connect", digits: 1}, {head: "connects/s"},
		}, latencyColumns()...),
		without: []string{"floor-batch-go", "spate-log"},
		run:     many,
	},
	{
		name: "flat", title: "1,000 streams, flat out",
		text: "200-byte events to everyone as fast as they are taken, with at most 512 under way that not every stream has had.",
		columns: []column{
			{head: "deliveries/s"}, {head: "CPU µs/delivery", digits: 3, floor: "floor-batch-go"},
			{head: "resident MiB", digits: 1}, {head: "loader busy", digits: 2},
		},
		run: flat,
	},
	{
		name: "unicast", title: "10,000 streams, 10,000 private events/s",
		text: "200-byte events, each to one user, on schedule. schedule-only sends nothing: what it costs to wake for each " +
			"event is part of every row.",
		columns: latencyColumns(), without: []string{"floor-batch-go"}, also: []string{server.Schedule},
		run: func(name string, o options) (sample, error) {
			load := rig.Load{Streams: o.streams(10000), Kind: stamp.User}
			if name == server.Schedule {
				load.Streams, load.Targets = 0, load.Streams
			}
			return latency(name, load, rig.Work{Rate: 10000, Size: eventSize, Duration: o.span}, nil)
		},
	},
	{
		name: "stalled", title: "Two streams that never read, beside 200 that do",
		text: "8-kilobyte events to everyone, 100 a second; the delays of the healthy streams. Before the measured run, " +
			"6 MB and 1,900 events have gone to each stream, so that no buffer of the kernel or the library hides the two.",
		columns: []column{
			{head: "p50 µs, none stalled"}, {head: "p99 µs, none stalled"}, {head: "p50 µs"}, {head: "p99 µs"},
		},
		without: []string{"floor-batch-go"}, rounds: 2,
		run: stalled,
	},
}

func workNames() []string {
	var names []string
	for i := range works {
		names = append(names, works[i].name)
	}
	return names
}

// streams is a number of streams, fewer with -short.
func (o options) streams(n int) int {
	if o.short {
		return n / 4
	}
	return n
}

func latencyColumns() []column {
	return []column{
		{head: "CPU µs/delivery", digits: 2, floor: "floor-go"}, {head: "p50 µs"}, {head: "p99 µs", floor: "floor-go"},
		{head: "max µs"},
	}
}

// latencyValues fills latencyColumns. Where nothing is delivered, the processor time is that of an event.
func latencyValues(f *rig.Figures) []float64 {
	if f.Deliveries == 0 && f.Lost == 0 {
		return []float64{micros(f.ServerCPU) / float64(max(1, f.Events))}
	}
	return []float64{f.PerDelivery(), micros(f.Latency.P50), micros(f.Latency.P99), micros(f.Latency.Max)}
}

func micros(d time.Duration) float64 { return float64(d) / 1e3 }

// latency opens streams, publishes a little unmeasured, and then measures. before is called with the open streams.
func latency(name string, load rig.Load, w rig.Work, before func(*rig.Rig) ([]float64, error)) (s sample, err error) {
	r, err := rig.New(name, load)
	if err != nil {
		return s, err
	}
	defer r.Close()
	if before == nil {
		_, err = r.Connect(inFlight)
		time.Sleep(settle)
	} else {
		s.values, err = before(r)
	}
	if err != nil {
		return sample{}, err
	}
	warm := w
	warm.Duration = warmUp
	if f, err := r.Run(warm); err != nil || f.Stuck {
		return sample{fault: f.Faults()}, err
	}
	f, err := r.Run(w)
	s.values = append(s.values, latencyValues(&f)...)
	s.counts, s.fault = f.Counts, f.Faults()
	return s, err
}

// many measures connecting and idleness before it publishes.
func many(name string, o options) (sample, error) {
	n := o.streams(10000)
	idle := func(r *rig.Rig) ([]float64, error) {
		before, err := r.Usage(true)
		if err != nil {
			return nil, err
		}
		c, err := r.Connect(inFlight)
		if err != nil {
			return nil, err
		}
		time.Sleep(settle)
		after, err := r.Usage(true)
		return []float64{
			float64(after.RSS-before.RSS) / 1024 / float64(n),
			float64(after.Goroutines-before.Goroutines) / float64(n),
			micros(c.CPU) / float64(n),
			float64(n) / c.Elapsed.Seconds(),
		}, err
	}
	return latency(name, rig.Load{Streams: n, Kind: stamp.Broadcast}, rig.Work{Rate: 2, Size: eventSize, Duration: o.span * 3 / 2}, idle)
}

// flat measures throughput.
func flat(name string, o options) (s sample, err error) {
	r, err := rig.New(name, rig.Load{Streams: 1000, Kind: stamp.Broadcast, Burst: flatWindow})
	if err != nil {
		return s, err
	}
	defer r.Close()
	if _, err = r.Connect(inFlight); err != nil {
		return s, err
	}
	time.Sleep(settle)
	w := rig.Work{Window: flatWindow, Size: eventSize, Duration: o.span, Events: 64}
	if f, err := r.Run(w); err != nil || f.Stuck {
		return sample{fault: f.Faults()}, err
	}
	w.Events = 0
	f, err := r.Run(w)
	return sample{
		values: []float64{f.Rate(), f.PerDelivery(), float64(f.Usage.RSS) / (1 << 20), f.ReaderBusy},
		counts: f.Counts, fault: f.Faults(),
	}, err
}

// A stream that does not read has these events sent before the delays of the others are measured: large ones, more than
// the kernel holds for it, and then so many that they fill a library's own queue for a client.
const (
	stalledSize  = 8 << 10
	stalledLarge = 700
	stalledSmall = 1200
)

// stalled measures 200 streams alone, and then beside two that do not read.
func stalled(name string, o options) (s sample, err error) {
	for _, n := range []int{0, 2} {
		f, err := beside(name, n, o)
		if err != nil {
			return s, err
		}
		s.values = append(s.values, micros(f.Latency.P50), micros(f.Latency.P99))
		s.counts, s.fault = f.Counts, f.Faults()
	}
	return s, nil
}

func beside(name string, stalled int, o options) (f rig.Figures, err error) {
	r, err := rig.New(name, rig.Load{Streams: 200, Stalled: stalled, Kind: stamp.Broadcast, Burst: 256})
	if err != nil {
		return f, err
	}
	defer r.Close()
	if _, err = r.Connect(inFlight); err != nil {
		return f, err
	}
	time.Sleep(settle)
	for _, fill := range []rig.Work{{Size: stalledSize, Events: stalledLarge}, {Size: eventSize, Events: stalledSmall}} {
		// Few events under way, so that no healthy stream falls behind by what fills the others' buffers.
		fill.Window, fill.Duration = 16, 6*time.Second
		if stalled == 0 {
			fill.Events /= 10
		}
		if f, err = r.Run(fill); err != nil || f.Stuck {
			return f, err
		}
	}
	return r.Run(rig.Work{Rate: 100, Size: stalledSize, Duration: o.span})
}
